"""Outcomes of all auctions held against pure functions of the bids."""

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from converge_redis import BiddingProtocol, RedisStore

amounts = st.integers(-5, 20).map(float) | st.floats(-1e6, 1e6, allow_nan=False)
bids = st.lists(st.tuples(st.sampled_from("abcd"), amounts), max_size=12)
reserves = st.none() | st.integers(-3, 12).map(float)
directions = st.sampled_from(["max", "min"])
Bids = list[tuple[str, float]]
Sale = tuple[str, float] | None


def sealed(kind: str, sign: int, reserve: float | None, made: Bids) -> Sale:
    last = {agent: (amount, place) for place, (agent, amount) in enumerate(made)}
    fit = [
        (-sign * amount, place, agent)
        for agent, (amount, place) in last.items()
        if reserve is None or sign * amount >= sign * reserve
    ]
    if not fit:
        return None
    (best, _, winner), *others = sorted(fit)
    own = -sign * best
    if kind == "first_price_sealed_bid":
        return winner, own
    if others:
        return winner, -sign * others[0][0]
    limit = reserve if reserve is not None else 0.0 if sign > 0 else own
    return winner, min(limit, own) if sign > 0 else max(limit, own)


def english(sign: int, reserve: float | None, increment: float, made: Bids) -> Sale:
    leader: Sale = None
    for agent, amount in made:
        if leader is None:
            leader = agent, amount
        elif agent != leader[0]:
            least = leader[1] + sign * increment
            if sign * amount >= sign * least and (increment > 0 or amount != leader[1]):
                leader = agent, amount
    if leader is None or (reserve is not None and sign * leader[1] < sign * reserve):
        return None
    return leader


def outcome_of(protocol: BiddingProtocol, made: Bids) -> Sale:
    for agent, amount in made:
        protocol.submit_bid(agent, amount)
    winner = protocol.resolve()
    outcome = protocol.outcome()
    if winner is None:
        assert outcome is None or outcome.winner is None
        return None
    assert outcome is not None
    assert outcome.price is not None
    assert outcome.winner == winner
    return winner, outcome.price


STORE = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer()))


@given(st.sampled_from(["first_price_sealed_bid", "second_price_sealed_bid"]), directions, reserves, bids)
@settings(deadline=None, max_examples=300)
def test_sealed_auctions(kind: str, direction: str, reserve: float | None, made: Bids) -> None:
    sign = -1 if direction == "min" else 1
    protocol = BiddingProtocol(kind, STORE, direction=direction, reserve=reserve)
    assert outcome_of(protocol, made) == sealed(kind, sign, reserve, made)


@given(directions, reserves, st.sampled_from([0.0, 1.0, 2.5]), bids)
@settings(deadline=None, max_examples=300)
def test_english_auctions(direction: str, reserve: float | None, increment: float, made: Bids) -> None:
    sign = -1 if direction == "min" else 1
    protocol = BiddingProtocol("english", STORE, direction=direction, reserve=reserve, increment=increment)
    assert outcome_of(protocol, made) == english(sign, reserve, increment, made)


@given(directions, st.integers(5, 15).map(float), bids)
@settings(deadline=None, max_examples=150)
def test_dutch_auctions(direction: str, start: float, made: Bids) -> None:
    protocol = BiddingProtocol(
        "dutch", STORE, direction=direction, start_price=start, decrement=1, tick_sec=1e6
    )
    first = [agent for agent, amount in made if (amount >= start if direction == "max" else amount <= start)]
    assert outcome_of(protocol, made) == ((first[0], start) if first else None)
