"""Auctions of all four types: their rules, on every server, in both styles."""

import asyncio
import math
from typing import Any, cast

import pytest

from converge_redis import (
    ActRefusedError,
    AsyncBiddingProtocol,
    AsyncTaskManager,
    AuctionExistsError,
    AuctionType,
    BiddingProtocol,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
    Task,
    TaskManager,
)
from converge_redis.bidding import query as auction_reading
from converge_redis.bidding.context import CommitmentSecret
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet

FIRST, SECOND = AuctionType.FIRST_PRICE_SEALED_BID, AuctionType.SECOND_PRICE_SEALED_BID


def auction(fleet: Fleet, kind: str = FIRST, **options: Any) -> AsyncBiddingProtocol:
    options.setdefault("auction_id", "auction")
    return fleet.protocol(BiddingProtocol, AsyncBiddingProtocol, kind, **options)


async def refused(reason: str, call: Any) -> None:
    with pytest.raises(ActRefusedError) as error:
        await call
    assert error.value.reason == reason


async def sold(
    protocol: AsyncBiddingProtocol, *bids: tuple[str, float]
) -> tuple[str | None, float | None, str]:
    for agent, amount in bids:
        assert await protocol.submit_bid(agent, amount, {"of": agent})
    winner = await protocol.resolve()
    outcome = await protocol.outcome()
    assert outcome is not None
    assert outcome.winner == winner == await protocol.resolve()
    assert (outcome.sequence is None) is (outcome.price is None) is (winner is None)
    return outcome.winner, outcome.price, outcome.reason


UNSOLD = (None, None, "below_reserve")


@pytest.mark.parametrize(
    ("terms", "bids", "wanted"),
    [
        ({}, [("a", 3), ("b", 5), ("c", 4)], ("b", 5, "sold")),
        ({}, [("a", 5), ("b", 5)], ("a", 5, "sold")),
        ({}, [("a", 5), ("b", 5), ("a", 5)], ("b", 5, "sold")),
        ({}, [("a", 9), ("b", 5), ("a", 4)], ("b", 5, "sold")),
        ({}, [("a", -3), ("b", -2)], ("b", -2, "sold")),
        ({}, [], (None, None, "no_bids")),
        ({"reserve": 5}, [("a", 5)], ("a", 5, "sold")),
        ({"reserve": 5}, [("a", 4.999)], UNSOLD),
        ({"direction": "min"}, [("a", 3), ("b", 5)], ("a", 3, "sold")),
        ({"direction": "min", "reserve": 4}, [("a", 5), ("b", 4)], ("b", 4, "sold")),
        ({"direction": "min", "reserve": 4}, [("a", 5)], UNSOLD),
    ],
)
async def test_first_price(fleet: Fleet, terms: Any, bids: Any, wanted: Any) -> None:
    assert await sold(auction(fleet, FIRST, **terms), *bids) == wanted


@pytest.mark.parametrize(
    ("terms", "bids", "wanted"),
    [
        ({}, [("a", 3), ("b", 5), ("c", 4)], ("b", 4, "sold")),
        ({}, [("a", 5), ("b", 5)], ("a", 5, "sold")),
        ({}, [("a", 5)], ("a", 0, "sold")),
        ({}, [("a", -5)], ("a", -5, "sold")),
        ({"reserve": 2}, [("a", 5)], ("a", 2, "sold")),
        ({"reserve": 2}, [("a", 5), ("b", 1)], ("a", 2, "sold")),
        ({"reserve": 6}, [("a", 5), ("b", 1)], UNSOLD),
        ({"direction": "min"}, [("a", 3), ("b", 5)], ("a", 5, "sold")),
        ({"direction": "min"}, [("a", 3)], ("a", 3, "sold")),
        ({"direction": "min", "reserve": 9}, [("a", 3)], ("a", 9, "sold")),
        ({"direction": "min", "reserve": 9}, [("a", 3), ("b", 10)], ("a", 9, "sold")),
    ],
)
async def test_second_price(fleet: Fleet, terms: Any, bids: Any, wanted: Any) -> None:
    assert await sold(auction(fleet, SECOND, **terms), *bids) == wanted


async def test_nothing_about_sealed_bids_is_read_before_the_close(fleet: Fleet) -> None:
    protocol = auction(fleet)
    assert await protocol.get_auction() is None
    assert await protocol.bids() == []
    await protocol.open()
    before = await protocol.get_auction()
    for number in range(3):
        await protocol.submit_bid(f"agent {number}", number)
    assert await protocol.get_auction() == before
    assert await protocol.outcome() is None
    assert await protocol.current_price() is None
    await refused("sealed", protocol.bids())
    await protocol.resolve()
    assert [(bid.agent_id, bid.amount) for bid in await protocol.bids()] == [
        ("agent 0", 0),
        ("agent 1", 1),
        ("agent 2", 2),
    ]


async def test_an_auction_closes_by_itself_as_of_its_deadline(fleet: Fleet) -> None:
    protocol = auction(fleet, deadline_sec=0.1)
    assert await protocol.submit_bid("a", 1)
    assert await protocol.resolve() is None, "only its deadline closes it"
    outcome = await protocol.wait_for_outcome(TIMEOUT)
    snapshot = await protocol.get_auction()
    assert outcome is not None
    assert snapshot is not None
    assert (outcome.winner, outcome.closed_at) == ("a", snapshot.closes_at)
    await refused("late", protocol.submit_bid("b", 2, strict=True))
    assert await protocol.submit_bid("b", 2) is False


async def test_the_outcome_is_pushed(fleet: Fleet) -> None:
    protocol, other = auction(fleet), auction(fleet)
    await protocol.submit_bid("a", 1)
    waiting = [asyncio.create_task(other.wait_for_outcome(TIMEOUT)) for _ in range(5)]
    await asyncio.sleep(0)
    assert await protocol.resolve() == "a"
    outcomes = await asyncio.gather(*waiting)
    assert outcomes == [await protocol.outcome()] * 5
    assert await auction(fleet, auction_id="another").wait_for_outcome(TIMEOUT) is None


async def test_waiting_takes_no_longer_than_said(fleet: Fleet) -> None:
    protocol = auction(fleet)
    await protocol.open()
    assert await protocol.wait_for_outcome(0) is None
    assert await protocol.wait_for_outcome(0.02) is None


async def test_an_english_auction(fleet: Fleet) -> None:
    protocol = auction(fleet, AuctionType.ENGLISH, increment=2, reserve=5)
    assert await protocol.submit_bid("a", 1)
    await refused("leader", protocol.submit_bid("a", 9, strict=True))
    await refused("increment", protocol.submit_bid("b", 2.999, strict=True))
    assert await protocol.current_price() == 1
    known = await protocol.get_auction()
    assert await protocol.submit_bid("b", 3)
    update = await protocol.wait_for_update(TIMEOUT, since=known)
    assert update is not None
    assert (update.current_price, update.leader) == (3, "b")
    assert await protocol.submit_bid("a", 6)
    assert await protocol.resolve() == "a"
    assert [(bid.sequence, bid.agent_id, bid.amount) for bid in await protocol.bids()] == [
        (1, "a", 1),
        (2, "b", 3),
        (3, "a", 6),
    ]


async def test_english_bids_fall_in_procurement(fleet: Fleet) -> None:
    protocol = auction(fleet, AuctionType.ENGLISH, direction="min", reserve=5)
    assert await protocol.submit_bid("a", 9)
    await refused("increment", protocol.submit_bid("b", 9, strict=True))
    assert await protocol.submit_bid("b", 8.5)
    assert await protocol.resolve() is None
    outcome = await protocol.outcome()
    assert outcome is not None
    assert outcome.reason == "below_reserve"


async def test_late_bids_extend_up_to_the_hard_close(fleet: Fleet) -> None:
    protocol = auction(fleet, AuctionType.ENGLISH, deadline_sec=0.5, quiet_sec=0.4, hard_close_sec=0.8)
    await protocol.open()
    opened = await protocol.get_auction()
    assert opened is not None
    assert opened.closes_at == pytest.approx(opened.opened_at + 0.5)
    agents, last, amount = ("a", "b"), opened, 0
    while await protocol.submit_bid(agents[amount % 2], amount + 1):
        amount += 1
        found = await protocol.get_auction()
        assert found is not None
        assert found.closes_at is not None
        assert last.closes_at is not None
        assert last.closes_at <= found.closes_at <= opened.opened_at + 0.8 + 1e-6
        last = found
        await asyncio.sleep(0.05)
    bids = await protocol.bids()
    outcome = await protocol.outcome()
    assert outcome is not None
    assert outcome.price == amount == len(bids)
    wanted = max(opened.opened_at + 0.5, bids[-1].timestamp + 0.4)
    assert outcome.closed_at == pytest.approx(min(wanted, opened.opened_at + 0.8), abs=1e-5)
    if bids[-1].timestamp > opened.opened_at + 0.41:
        assert outcome.closed_at == pytest.approx(opened.opened_at + 0.8, abs=1e-5)


async def test_a_dutch_price_falls_to_the_reserve(fleet: Fleet) -> None:
    terms = {"start_price": 10, "decrement": 3, "tick_sec": 0.05, "reserve": 2.5}
    protocol = auction(fleet, AuctionType.DUTCH, **terms)
    await protocol.open()
    seen: list[float] = []
    while not seen or seen[-1] > 2.5:
        price = await protocol.current_price()
        assert price is not None
        seen.append(price)
        await asyncio.sleep(0.01)
    assert seen == sorted(seen, reverse=True)
    assert set(seen) <= {10, 7, 4, 2.5}
    await refused("limit", protocol.submit_bid("a", 2, strict=True))
    assert await protocol.submit_bid("a", 100)
    outcome = await protocol.outcome()
    assert outcome is not None
    assert (outcome.winner, outcome.price, outcome.reason) == ("a", 2.5, "sold")
    await refused("late", protocol.submit_bid("b", 100, strict=True))


async def test_a_dutch_bid_is_a_limit(fleet: Fleet) -> None:
    protocol = auction(fleet, AuctionType.DUTCH, start_price=10, decrement=1, tick_sec=1000)
    assert not await protocol.submit_bid("a", 9.99)
    assert await protocol.submit_bid("b", 10)
    assert await protocol.resolve() == "b"
    other = auction(
        fleet, AuctionType.DUTCH, auction_id="2", start_price=10, decrement=1, tick_sec=1000, direction="min"
    )
    assert not await other.submit_bid("a", 10.01)
    assert await other.submit_bid("b", 9)
    outcome = await other.outcome()
    assert outcome is not None
    assert outcome.price == 10


async def test_commitments_are_revealed_and_verified(fleet: Fleet) -> None:
    honest, late, cheat = (auction(fleet, SECOND, reveal_sec=1000, deadline_sec=1000) for _ in range(3))
    assert await honest.submit_bid("honest", 5, "content")
    assert await honest.submit_bid("second", 3)
    assert await cheat.submit_bid("cheat", 1)
    await refused("early", honest.reveal("honest", strict=True))
    with pytest.raises(InvalidValueError, match="made no commitment"):
        await late.reveal("honest")
    names = fleet.namespaces["test"].keys.shard_names(0)
    fleet.raw.hset(names["auction:"] + "auction", "closes", fleet.raw.time()[0] * 1000000)
    assert await honest.resolve() is None
    await refused("sealed", honest.bids())
    assert await honest.reveal("honest")
    assert await honest.reveal("honest"), "once is as good as twice"
    assert await honest.reveal("second")
    assert await honest.resolve() is None
    # The cheat reveals another amount than the one that it has committed itself to.
    context: Any = (cheat if fleet.style == "async" else cast("Any", cheat)._blocking)._target
    secret = context.secrets["cheat"]
    context.secrets["cheat"] = CommitmentSecret(secret.commitment, "99", secret.nonce, secret.content)
    assert await cheat.reveal("cheat")
    assert await honest.resolve() == "honest"
    outcome = await honest.wait_for_outcome(0)
    assert outcome is not None
    assert (outcome.winner, outcome.price) == ("honest", 3)
    assert {bid.agent_id: bid.content for bid in await honest.bids()}["honest"] == "content"


async def test_what_is_not_revealed_is_void(fleet: Fleet) -> None:
    first, second = (auction(fleet, reveal_sec=0.3, deadline_sec=0.5) for _ in range(2))
    assert await first.submit_bid("best", 9)
    assert await second.submit_bid("other", 5)
    outcome = await second.wait_for_outcome(TIMEOUT)
    assert outcome is not None
    assert (outcome.winner, outcome.price) == ("other", 5)
    assert {bid.agent_id: bid.amount for bid in await second.bids()} == {"best": None, "other": 5}
    await refused("late", first.reveal("best", strict=True))


async def test_waiting_reveals_what_the_same_object_has_bid(fleet: Fleet) -> None:
    protocols = [auction(fleet, SECOND, reveal_sec=1000) for _ in range(4)]
    for number, protocol in enumerate(protocols):
        assert await protocol.submit_bid(f"agent {number}", number)
    waiting = [asyncio.create_task(protocol.wait_for_outcome(TIMEOUT)) for protocol in protocols]
    await asyncio.sleep(0)
    await protocols[0].resolve()
    for outcome in await asyncio.gather(*waiting):
        assert outcome is not None
        assert (outcome.winner, outcome.price) == ("agent 3", 2)


@pytest.mark.parametrize("shards", [1, 7])
async def test_an_award_is_a_claim(fleet: Fleet, shards: int) -> None:
    tasks = fleet.protocol(TaskManager, AsyncTaskManager, shards=shards)
    task_id = await tasks.submit(Task(objective="x"))
    protocol = auction(fleet, task_id=task_id, shards=shards)
    await protocol.submit_bid("a", 3)
    await protocol.submit_bid("b", 4)
    assert await protocol.award(task_id) == "b"
    assert [task.id for task in await tasks.list_claims("b")] == [task_id]
    assert await protocol.award(task_id) == "b", "once is as good as twice"
    assert await tasks.report("b", task_id, "done")
    other = await tasks.submit(Task(objective="x"))
    if shards == 1:
        await refused("awarded", protocol.award(other))


async def test_an_award_that_cannot_be_changes_nothing(fleet: Fleet) -> None:
    tasks = fleet.protocol(TaskManager, AsyncTaskManager)
    task_id = await tasks.submit(Task(objective="x"))
    protocol = auction(fleet)
    await protocol.submit_bid("a", 3)
    assert await tasks.claim("thief", task_id)
    await refused("not_pending", protocol.award(task_id))
    await refused("no_task", protocol.award("unknown"))
    assert await protocol.outcome() is None, "the auction goes on"
    assert await protocol.submit_bid("b", 4)
    await tasks.release("thief", task_id)
    assert await protocol.award(task_id) == "b"


async def test_an_award_of_nothing(fleet: Fleet) -> None:
    tasks = fleet.protocol(TaskManager, AsyncTaskManager)
    task_id = await tasks.submit(Task(objective="x"))
    unsold, dated = auction(fleet, reserve=9), auction(fleet, auction_id="2", deadline_sec=1000)
    await unsold.submit_bid("a", 3)
    await dated.submit_bid("a", 3)
    assert await unsold.award(task_id) is None
    assert await dated.award(task_id) is None
    assert await tasks.claim("anybody", task_id)


async def test_a_task_of_another_shard_is_not_awarded(fleet: Fleet) -> None:
    protocol = auction(fleet, shards=7)
    other = next(
        name
        for name in "abcdefgh"
        if protocol.store._namespace.keys.shard_of(name) != protocol.store._namespace.keys.shard_of("auction")
    )
    with pytest.raises(ConfigurationError, match="another shard"):
        await protocol.award(other)


async def test_others_take_part_without_the_terms(fleet: Fleet) -> None:
    protocol = auction(fleet, SECOND, reserve=1)
    if fleet.style == "sync":
        guest = fleet.protocol(lambda store: BiddingProtocol.of("auction", store), AsyncBiddingProtocol)
    else:
        guest = fleet.protocol(BiddingProtocol, lambda store: AsyncBiddingProtocol.of("auction", store))
    await refused("unknown", guest.submit_bid("guest", 3, strict=True))
    with pytest.raises(ConfigurationError, match="terms"):
        await guest.open()
    await protocol.open()
    assert await guest.submit_bid("guest", 3)
    with pytest.raises(AuctionExistsError):
        await auction(fleet, SECOND, reserve=2).submit_bid("a", 3)
    with pytest.raises(AuctionExistsError):
        await auction(fleet, SECOND).resolve()
    assert await guest.resolve() == "guest"


async def test_many_bids_are_read_page_by_page(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auction_reading, "BIDS_PER_SCRIPT", 3)
    protocol = auction(fleet)
    for number in range(10):
        await protocol.submit_bid("replaced", number)
        await protocol.submit_bid(f"agent {number}", number)
    await protocol.resolve()
    bids = await protocol.bids()
    assert [bid.agent_id for bid in bids] == [
        *(f"agent {number}" for number in range(9)),
        "replaced",
        "agent 9",
    ]


@pytest.mark.parametrize("agent", ["a b", "1 2 3", "\n", "é", "#x", "a\0b", "%", " "])
async def test_names_and_contents_are_kept_as_they_are(fleet: Fleet, agent: str) -> None:
    protocol = auction(fleet)
    assert await protocol.submit_bid(agent, 1e-300, [agent, b"\0 \xff"])
    assert await protocol.resolve() == agent
    (bid,) = await protocol.bids()
    assert (bid.agent_id, bid.amount, bid.content) == (agent, 1e-300, [agent, b"\0 \xff"])


@pytest.mark.parametrize("amount", [math.nan, math.inf, -math.inf, 2**53 + 1, 10**400])
async def test_amounts_are_finite_and_exact(fleet: Fleet, amount: float) -> None:
    protocol = auction(fleet)
    with pytest.raises(ValueError, match="amount"):
        await protocol.submit_bid("a", amount)
    assert await protocol.get_auction() is None


@pytest.mark.parametrize("amount", [True, "3", None, [1]])
async def test_amounts_are_numbers(fleet: Fleet, amount: Any) -> None:
    with pytest.raises(InvalidTypeError, match="amount"):
        await auction(fleet).submit_bid("a", amount)


async def test_a_huge_bid_is_refused(fleet: Fleet) -> None:
    with pytest.raises(PayloadTooLargeError, match="content"):
        await auction(fleet).submit_bid("a", 1, "x" * 2**21)


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
def test_terms_have_to_go_together(kind: str, terms: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        BiddingProtocol(kind, **terms)
