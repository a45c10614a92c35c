"""Auctions of any type: their close, awards of tasks, bidders without the terms, refused input."""

import asyncio
import math
from typing import Any

import pytest

from converge_redis import (
    AsyncBiddingProtocol,
    AsyncTaskManager,
    AuctionExistsError,
    BiddingProtocol,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
    Task,
    TaskManager,
)
from converge_redis.bidding import query
from tests.bidding.auctions import FIRST, SECOND, make_auction
from tests.protocols.sessions import let_time_pass, refused, until_watched
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet


async def test_an_auction_closes_at_its_deadline_without_a_call(fleet: Fleet) -> None:
    auction = make_auction(fleet, deadline_sec=1000)
    assert await auction.submit_bid("a", 1)
    assert await auction.resolve() is None, "resolve does not close it before its deadline"
    let_time_pass(fleet, "auction:auction", 999.95)
    outcome = await auction.wait_for_outcome(TIMEOUT)
    snapshot = await auction.get_auction()
    assert outcome is not None
    assert snapshot is not None
    assert (outcome.winner, outcome.closed_at) == ("a", snapshot.closes_at)
    await refused("late", auction.submit_bid("b", 2, strict=True))
    assert await auction.submit_bid("b", 2) is False


async def test_the_outcome_is_pushed_to_all_waiting_calls(fleet: Fleet) -> None:
    auction, other = make_auction(fleet), make_auction(fleet)
    await auction.submit_bid("a", 1)
    waiting = [asyncio.create_task(other.wait_for_outcome(TIMEOUT)) for _ in range(5)]
    await until_watched(fleet, "auction:auction")
    assert await auction.resolve() == "a"
    outcomes = await asyncio.gather(*waiting)
    assert outcomes == [await auction.outcome()] * 5
    assert await make_auction(fleet, auction_id="another").wait_for_outcome(TIMEOUT) is None


async def test_waiting_ends_after_the_timeout(fleet: Fleet) -> None:
    auction = make_auction(fleet)
    await auction.open()
    assert await auction.wait_for_outcome(0) is None
    assert await auction.wait_for_outcome(0.02) is None


@pytest.mark.parametrize("shards", [1, 7])
async def test_an_award_claims_the_task_for_the_winner(fleet: Fleet, shards: int) -> None:
    tasks = fleet.protocol(TaskManager, AsyncTaskManager, shards=shards)
    task_id = await tasks.submit(Task(objective="x"))
    auction = make_auction(fleet, task_id=task_id, shards=shards)
    await auction.submit_bid("a", 3)
    await auction.submit_bid("b", 4)
    assert await auction.award(task_id) == "b"
    assert [task.id for task in await tasks.list_claims("b")] == [task_id]
    assert await auction.award(task_id) == "b", "a second award has no effect"
    assert await tasks.report("b", task_id, "done")
    other = await tasks.submit(Task(objective="x"))
    if shards == 1:
        await refused("awarded", auction.award(other))


async def test_a_refused_award_leaves_the_auction_open(fleet: Fleet) -> None:
    tasks = fleet.protocol(TaskManager, AsyncTaskManager)
    task_id = await tasks.submit(Task(objective="x"))
    auction = make_auction(fleet)
    await auction.submit_bid("a", 3)
    assert await tasks.claim("thief", task_id)
    await refused("not_pending", auction.award(task_id))
    await refused("no_task", auction.award("unknown"))
    assert await auction.outcome() is None
    assert await auction.submit_bid("b", 4)
    await tasks.release("thief", task_id)
    assert await auction.award(task_id) == "b"


async def test_an_award_without_a_winner_leaves_the_task_pending(fleet: Fleet) -> None:
    tasks = fleet.protocol(TaskManager, AsyncTaskManager)
    task_id = await tasks.submit(Task(objective="x"))
    unsold, still_open = (
        make_auction(fleet, reserve=9),
        make_auction(fleet, auction_id="2", deadline_sec=1000),
    )
    await unsold.submit_bid("a", 3)
    await still_open.submit_bid("a", 3)
    assert await unsold.award(task_id) is None
    assert await still_open.award(task_id) is None
    assert await tasks.claim("b", task_id)


async def test_a_task_of_another_shard_cannot_be_awarded(fleet: Fleet) -> None:
    auction = make_auction(fleet, shards=7)
    keys = auction.store._namespace.keys
    other = next(name for name in "abcdefgh" if keys.shard_of(name) != keys.shard_of("auction"))
    with pytest.raises(ConfigurationError, match="another shard"):
        await auction.award(other)


async def test_agents_can_bid_without_knowing_the_terms(fleet: Fleet) -> None:
    auction = make_auction(fleet, SECOND, reserve=1)
    if fleet.style == "sync":
        guest = fleet.protocol(lambda store: BiddingProtocol.of("auction", store), AsyncBiddingProtocol)
    else:
        guest = fleet.protocol(BiddingProtocol, lambda store: AsyncBiddingProtocol.of("auction", store))
    await refused("unknown", guest.submit_bid("guest", 3, strict=True))
    with pytest.raises(ConfigurationError, match="terms"):
        await guest.open()
    await auction.open()
    assert await guest.submit_bid("guest", 3)
    with pytest.raises(AuctionExistsError):
        await make_auction(fleet, SECOND, reserve=2).submit_bid("a", 3)
    with pytest.raises(AuctionExistsError):
        await make_auction(fleet, SECOND).resolve()
    assert await guest.resolve() == "guest"


async def test_many_bids_are_read_in_pages(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "BIDS_PER_SCRIPT", 3)
    auction = make_auction(fleet)
    for number in range(10):
        await auction.submit_bid("replaced", number)
        await auction.submit_bid(f"agent {number}", number)
    await auction.resolve()
    bids = await auction.bids()
    assert [bid.agent_id for bid in bids] == [
        *(f"agent {number}" for number in range(9)),
        "replaced",
        "agent 9",
    ]


@pytest.mark.parametrize("agent", ["a b", "1 2 3", "\n", "é", "#x", "a\0b", "%", " "])
async def test_any_agent_id_and_content_is_stored_unchanged(fleet: Fleet, agent: str) -> None:
    auction = make_auction(fleet)
    assert await auction.submit_bid(agent, 1e-300, [agent, b"\0 \xff"])
    assert await auction.resolve() == agent
    (bid,) = await auction.bids()
    assert (bid.agent_id, bid.amount, bid.content) == (agent, 1e-300, [agent, b"\0 \xff"])


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, 2**53 + 1, 10**400])
async def test_amounts_must_be_finite_and_exact(fleet: Fleet, amount: float) -> None:
    auction = make_auction(fleet)
    with pytest.raises(ValueError, match="amount"):
        await auction.submit_bid("a", amount)
    assert await auction.get_auction() is None


@pytest.mark.parametrize("amount", [True, "3", None, [1]])
async def test_amounts_must_be_numbers(fleet: Fleet, amount: Any) -> None:
    with pytest.raises(InvalidTypeError, match="amount"):
        await make_auction(fleet).submit_bid("a", amount)


async def test_a_bid_above_the_payload_limit_is_refused(fleet: Fleet) -> None:
    with pytest.raises(PayloadTooLargeError, match="content"):
        await make_auction(fleet).submit_bid("a", 1, "x" * 2**21)


@pytest.mark.parametrize(
    ("kind", "terms", "message"),
    [
        ("vickrey", {}, "auction_type"),
        (FIRST, {"direction": "up"}, "direction"),
        (FIRST, {"reserve": math.nan}, "reserve"),
        (FIRST, {"increment": 1}, "increment has no meaning"),
        (FIRST, {"quiet_sec": 1}, "quiet_sec has no meaning"),
        (FIRST, {"deadline_sec": 0}, "deadline_sec"),
        (FIRST, {"auction_id": ""}, "auction_id"),
        ("english", {"increment": -1}, "increment"),
        ("english", {"reveal_sec": 1}, "reveal_sec has no meaning"),
        ("dutch", {"start_price": 1, "decrement": 1}, "tick_sec must be given"),
        ("dutch", {"start_price": 1, "decrement": 1, "tick_sec": 1, "reserve": 2}, "start_price"),
        ("dutch", {"start_price": -1, "decrement": 1, "tick_sec": 1}, "start_price"),
    ],
)
def test_invalid_terms_are_refused(kind: str, terms: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        BiddingProtocol(kind, **terms)
