"""English and Dutch auctions: their prices can be read while they are open."""

import asyncio

import pytest

from converge_redis import AuctionType
from tests.bidding.auctions import make_auction
from tests.protocols.sessions import let_time_pass, refused
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet


async def test_english_bids_rise_by_the_increment(fleet: Fleet) -> None:
    auction = make_auction(fleet, AuctionType.ENGLISH, increment=2, reserve=5)
    assert await auction.submit_bid("a", 1)
    await refused("leader", auction.submit_bid("a", 9, strict=True))
    await refused("increment", auction.submit_bid("b", 2.999, strict=True))
    assert await auction.current_price() == 1
    known = await auction.get_auction()
    assert await auction.submit_bid("b", 3)
    update = await auction.wait_for_update(TIMEOUT, since=known)
    assert update is not None
    assert (update.current_price, update.leader) == (3, "b")
    assert await auction.submit_bid("a", 6)
    assert await auction.resolve() == "a"
    assert [(bid.sequence, bid.agent_id, bid.amount) for bid in await auction.bids()] == [
        (1, "a", 1),
        (2, "b", 3),
        (3, "a", 6),
    ]


async def test_english_bids_fall_in_procurement(fleet: Fleet) -> None:
    auction = make_auction(fleet, AuctionType.ENGLISH, direction="min", reserve=5)
    assert await auction.submit_bid("a", 9)
    await refused("increment", auction.submit_bid("b", 9, strict=True))
    assert await auction.submit_bid("b", 8.5)
    assert await auction.resolve() is None
    outcome = await auction.outcome()
    assert outcome is not None
    assert outcome.reason == "below_reserve"


async def test_late_bids_extend_an_english_auction_up_to_the_hard_close(fleet: Fleet) -> None:
    auction = make_auction(fleet, AuctionType.ENGLISH, deadline_sec=1000, quiet_sec=800, hard_close_sec=1600)
    await auction.open()
    closes_after = list[float]()
    for number, agent in enumerate("abab", 1):
        assert await auction.submit_bid(agent, number)
        found = await auction.get_auction()
        assert found is not None
        assert found.closes_at is not None
        bid = (await auction.bids())[-1]
        closes_at = min(max(found.opened_at + 1000, bid.timestamp + 800), found.opened_at + 1600)
        assert found.closes_at == pytest.approx(closes_at, abs=1e-5)
        closes_after.append(found.closes_at - found.opened_at)
        let_time_pass(fleet, "auction:auction", 300)
    assert closes_after == sorted(closes_after)
    assert closes_after[0] == pytest.approx(1000, abs=1e-5), "the first bid is too early to extend"
    assert 1000 < closes_after[1] < closes_after[2] < 1600
    assert closes_after[3] == pytest.approx(1600, abs=1e-5)
    let_time_pass(fleet, "auction:auction", 400)
    assert not await auction.submit_bid("a", 5)
    outcome = await auction.outcome()
    assert outcome is not None
    assert outcome.price == len(await auction.bids()) == 4
    ended = await auction.get_auction()
    assert ended is not None
    assert outcome.closed_at == pytest.approx(ended.opened_at + 1600, abs=1e-5)


async def test_a_dutch_price_falls_to_the_reserve(fleet: Fleet) -> None:
    terms = {"start_price": 10, "decrement": 3, "tick_sec": 0.05, "reserve": 2.5}
    auction = make_auction(fleet, AuctionType.DUTCH, **terms)
    await auction.open()
    prices: list[float] = []
    while not prices or prices[-1] > 2.5:
        price = await auction.current_price()
        assert price is not None
        prices.append(price)
        await asyncio.sleep(0.01)
    assert prices == sorted(prices, reverse=True)
    assert set(prices) <= {10, 7, 4, 2.5}
    await refused("limit", auction.submit_bid("a", 2, strict=True))
    assert await auction.submit_bid("a", 100)
    outcome = await auction.outcome()
    assert outcome is not None
    assert (outcome.winner, outcome.price, outcome.reason) == ("a", 2.5, "sold")
    await refused("late", auction.submit_bid("b", 100, strict=True))


async def test_a_dutch_bid_is_a_limit_for_the_price(fleet: Fleet) -> None:
    terms = {"start_price": 10, "decrement": 1, "tick_sec": 1000}
    falling = make_auction(fleet, AuctionType.DUTCH, **terms)
    assert not await falling.submit_bid("a", 9.99)
    assert await falling.submit_bid("b", 10)
    assert await falling.resolve() == "b"
    rising = make_auction(fleet, AuctionType.DUTCH, auction_id="2", direction="min", **terms)
    assert not await rising.submit_bid("a", 10.01)
    assert await rising.submit_bid("b", 9)
    outcome = await rising.outcome()
    assert outcome is not None
    assert outcome.price == 10
