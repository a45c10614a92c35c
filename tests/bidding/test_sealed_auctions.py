"""Sealed auctions at the first and the second price, and commitments that are revealed after the close."""

import asyncio
from typing import Any, cast

import pytest

from converge_redis import AsyncBiddingProtocol, InvalidValueError
from converge_redis.bidding.context import CommitmentSecret
from tests.bidding.auctions import FIRST, SECOND, make_auction
from tests.protocols.sessions import key_of, let_time_pass, refused, until_watched
from tests.support.backends import TIMEOUT, async_until
from tests.support.fleet import Fleet

Sale = tuple[str | None, float | None, str]

UNSOLD: Sale = (None, None, "below_reserve")


async def sale_of(auction: AsyncBiddingProtocol, *bids: tuple[str, float]) -> Sale:
    """Submit bids and resolve; return winner, price and reason."""
    for agent, amount in bids:
        assert await auction.submit_bid(agent, amount, {"of": agent})
    winner = await auction.resolve()
    outcome = await auction.outcome()
    assert outcome is not None
    assert outcome.winner == winner == await auction.resolve()
    assert (outcome.sequence is None) is (outcome.price is None) is (winner is None)
    return outcome.winner, outcome.price, outcome.reason


@pytest.mark.parametrize(
    ("terms", "bids", "sale"),
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
async def test_a_first_price_auction_sells_to_the_best_bid(
    fleet: Fleet, terms: Any, bids: Any, sale: Sale
) -> None:
    assert await sale_of(make_auction(fleet, FIRST, **terms), *bids) == sale


@pytest.mark.parametrize(
    ("terms", "bids", "sale"),
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
async def test_a_second_price_auction_sells_at_the_second_best_bid(
    fleet: Fleet, terms: Any, bids: Any, sale: Sale
) -> None:
    assert await sale_of(make_auction(fleet, SECOND, **terms), *bids) == sale


async def test_sealed_bids_cannot_be_read_before_the_close(fleet: Fleet) -> None:
    auction = make_auction(fleet)
    assert await auction.get_auction() is None
    assert await auction.bids() == []
    await auction.open()
    before = await auction.get_auction()
    for number in range(3):
        await auction.submit_bid(f"agent {number}", number)
    assert await auction.get_auction() == before
    assert await auction.outcome() is None
    assert await auction.current_price() is None
    await refused("sealed", auction.bids())
    await auction.resolve()
    assert [(bid.agent_id, bid.amount) for bid in await auction.bids()] == [
        ("agent 0", 0),
        ("agent 1", 1),
        ("agent 2", 2),
    ]


async def test_commitments_are_revealed_and_verified(fleet: Fleet) -> None:
    honest, late, cheat = (make_auction(fleet, SECOND, reveal_sec=1000, deadline_sec=1000) for _ in range(3))
    assert await honest.submit_bid("honest", 5, "content")
    assert await honest.submit_bid("second", 3)
    assert await cheat.submit_bid("cheat", 1)
    await refused("early", honest.reveal("honest", strict=True))
    with pytest.raises(InvalidValueError, match="made no commitment"):
        await late.reveal("honest")
    let_time_pass(fleet, "auction:auction", 1000)
    assert await honest.resolve() is None
    await refused("sealed", honest.bids())
    assert await honest.reveal("honest")
    assert await honest.reveal("honest"), "a second reveal has no effect"
    assert await honest.reveal("second")
    assert await honest.resolve() is None
    # The cheat reveals another amount than the one of its commitment.
    context: Any = (cheat if fleet.style == "async" else cast("Any", cheat)._blocking)._target
    secret = context.secrets["cheat"]
    context.secrets["cheat"] = CommitmentSecret(secret.commitment, "99", secret.nonce, secret.content)
    assert await cheat.reveal("cheat")
    assert await honest.resolve() == "honest"
    outcome = await honest.wait_for_outcome(0)
    assert outcome is not None
    assert (outcome.winner, outcome.price) == ("honest", 3)
    assert {bid.agent_id: bid.content for bid in await honest.bids()}["honest"] == "content"


async def test_a_bid_that_is_not_revealed_in_time_does_not_count(fleet: Fleet) -> None:
    first, second, observer = (make_auction(fleet, reveal_sec=1000, deadline_sec=1000) for _ in range(3))
    assert await first.submit_bid("best", 9)
    assert await second.submit_bid("other", 5)
    let_time_pass(fleet, "auction:auction", 1000)
    waiting = asyncio.create_task(second.wait_for_outcome(TIMEOUT))
    await async_until(lambda: fleet.raw.hget(key_of(fleet, "auction:auction"), "revealed") == b"1")
    let_time_pass(fleet, "auction:auction", 999.95)
    outcome = await observer.wait_for_outcome(TIMEOUT)
    assert outcome is not None
    assert (outcome.winner, outcome.price) == ("other", 5)
    assert await waiting == outcome
    assert {bid.agent_id: bid.amount for bid in await second.bids()} == {"best": None, "other": 5}
    await refused("late", first.reveal("best", strict=True))


async def test_waiting_for_the_outcome_reveals_the_bids_of_the_same_object(fleet: Fleet) -> None:
    auctions = [make_auction(fleet, SECOND, reveal_sec=1000) for _ in range(4)]
    for number, auction in enumerate(auctions):
        assert await auction.submit_bid(f"agent {number}", number)
    waiting = [asyncio.create_task(auction.wait_for_outcome(TIMEOUT)) for auction in auctions]
    await until_watched(fleet, "auction:auction", len(auctions))
    await auctions[0].resolve()
    for outcome in await asyncio.gather(*waiting):
        assert outcome is not None
        assert (outcome.winner, outcome.price) == ("agent 3", 2)
