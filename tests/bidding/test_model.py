"""Outcomes of all auctions compared with pure functions of the bids."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis import BiddingProtocol, EmbeddedServer, RedisStore

amounts = st.integers(-5, 20).map(float) | st.floats(-1e6, 1e6, allow_nan=False)
bid_lists = st.lists(st.tuples(st.sampled_from("abcd"), amounts), max_size=12)
reserves = st.none() | st.integers(-3, 12).map(float)
directions = st.sampled_from(["max", "min"])
Bids = list[tuple[str, float]]
Sale = tuple[str, float] | None


@pytest.fixture(scope="module")
def store(server: EmbeddedServer) -> Iterator[RedisStore]:
    with RedisStore.from_url(server.url, "model of auctions") as store:
        yield store


def unlimited(max_examples: int) -> settings:
    return settings(deadline=None, max_examples=max_examples, suppress_health_check=[HealthCheck.too_slow])


def sealed_sale(kind: str, sign: int, reserve: float | None, bids: Bids) -> Sale:
    last = {agent: (amount, place) for place, (agent, amount) in enumerate(bids)}
    valid = [
        (-sign * amount, place, agent)
        for agent, (amount, place) in last.items()
        if reserve is None or sign * amount >= sign * reserve
    ]
    if not valid:
        return None
    (best, _, winner), *others = sorted(valid)
    own = -sign * best
    if kind == "first_price_sealed_bid":
        return winner, own
    if others:
        return winner, -sign * others[0][0]
    limit = reserve if reserve is not None else 0.0 if sign > 0 else own
    return winner, min(limit, own) if sign > 0 else max(limit, own)


def english_sale(sign: int, reserve: float | None, increment: float, bids: Bids) -> Sale:
    leader: Sale = None
    for agent, amount in bids:
        if leader is None:
            leader = agent, amount
        elif agent != leader[0]:
            minimum = leader[1] + sign * increment
            if sign * amount >= sign * minimum and (increment > 0 or amount != leader[1]):
                leader = agent, amount
    if leader is None or (reserve is not None and sign * leader[1] < sign * reserve):
        return None
    return leader


def sale_of(auction: BiddingProtocol, bids: Bids) -> Sale:
    for agent, amount in bids:
        auction.submit_bid(agent, amount)
    winner = auction.resolve()
    outcome = auction.outcome()
    if winner is None:
        assert outcome is None or outcome.winner is None
        return None
    assert outcome is not None
    assert outcome.price is not None
    assert outcome.winner == winner
    return winner, outcome.price


@given(
    st.sampled_from(["first_price_sealed_bid", "second_price_sealed_bid"]), directions, reserves, bid_lists
)
@unlimited(max_examples=300)
def test_sealed_auctions_have_the_outcome_of_the_model(
    store: RedisStore, kind: str, direction: str, reserve: float | None, bids: Bids
) -> None:
    sign = -1 if direction == "min" else 1
    auction = BiddingProtocol(kind, store, direction=direction, reserve=reserve)
    assert sale_of(auction, bids) == sealed_sale(kind, sign, reserve, bids)


@given(directions, reserves, st.sampled_from([0.0, 1.0, 2.5]), bid_lists)
@unlimited(max_examples=300)
def test_english_auctions_have_the_outcome_of_the_model(
    store: RedisStore, direction: str, reserve: float | None, increment: float, bids: Bids
) -> None:
    sign = -1 if direction == "min" else 1
    auction = BiddingProtocol("english", store, direction=direction, reserve=reserve, increment=increment)
    assert sale_of(auction, bids) == english_sale(sign, reserve, increment, bids)


@given(directions, st.integers(5, 15).map(float), bid_lists)
@unlimited(max_examples=150)
def test_dutch_auctions_have_the_outcome_of_the_model(
    store: RedisStore, direction: str, start: float, bids: Bids
) -> None:
    auction = BiddingProtocol(
        "dutch", store, direction=direction, start_price=start, decrement=1, tick_sec=1e6
    )
    accepted = [
        agent for agent, amount in bids if (amount >= start if direction == "max" else amount <= start)
    ]
    assert sale_of(auction, bids) == ((accepted[0], start) if accepted else None)
