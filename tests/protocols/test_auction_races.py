"""Auctions with sixteen bidding processes on the real server: one outcome, which follows from the bids."""

import random
import struct
from itertools import pairwise
from typing import Any

import pytest
import redis

from converge_redis import ActRefusedError, Bid, BiddingProtocol, RedisStore
from tests.support.backends import TIMEOUT, Backend
from tests.support.processes import ProcessGroup

BIDS = 200

_open: dict[str, BiddingProtocol] = {}
"""The auctions of each process: a commitment is revealed by the object that made it."""


def amounts(number: int) -> list[float]:
    """Return the amounts that a bidder bids, in their order: numbers that occur nowhere else."""
    rng = random.Random(number)
    return [round(rng.uniform(1000, 9000), 6) for _ in range(BIDS)]


def bid(number: int, url: str, auction_id: str, terms: dict[str, Any]) -> tuple[list[float], list[str]]:
    """Bid 200 times, and read all that can be read; return the accepted amounts, and what was read."""
    store = RedisStore.from_url(url, "race")
    auction = _open[auction_id] = BiddingProtocol(store=store, auction_id=auction_id, **terms)
    accepted = [amount for amount in amounts(number) if auction.submit_bid(f"agent {number}", amount, amount)]
    found = []
    snapshot = auction.get_auction()
    if snapshot is not None and snapshot.state == "open":
        found.append(repr((snapshot.current_price, snapshot.leader, snapshot.outcome)))
    try:
        found.append(repr(auction.bids()))
    except ActRefusedError as error:
        found.append(error.reason)
    return accepted, found


def finish(_number: int, auction_id: str) -> Any:
    auction = _open.pop(auction_id)
    auction.resolve()
    outcome = auction.wait_for_outcome(TIMEOUT)
    auction.store.close()
    return outcome


def stored_bytes(url: str) -> bytes:
    """Return all keys and values of the server."""
    with redis.Redis.from_url(url) as client:
        found: list[bytes] = []
        for key in client.scan_iter(count=1000):
            kind = client.type(key)
            found.append(key)
            if kind == b"hash":
                found += [part for item in client.hgetall(key).items() for part in item]
            elif kind == b"list":
                found += client.lrange(key, 0, -1)
            elif kind == b"set":
                found += client.smembers(key)
            elif kind == b"zset":
                found += [
                    part
                    for item in client.zrange(key, 0, -1, withscores=True)
                    for part in (item[0], repr(item[1]).encode())
                ]
            elif kind == b"string":
                found.append(client.get(key))
        return b"\n".join(found)


def sale_by_rule(terms: dict[str, Any], bids: list[Bid]) -> tuple[str | None, float | None]:
    """Return winner and price, computed from the recorded bids."""
    sign = -1 if terms.get("direction") == "min" else 1
    reserve = terms.get("reserve")
    valid = [
        bid
        for bid in bids
        if bid.amount is not None and (reserve is None or sign * bid.amount >= sign * reserve)
    ]
    if not valid:
        return None, None
    ranked = sorted(valid, key=lambda bid: (-sign * (bid.amount or 0), bid.sequence))
    if terms["auction_type"] == "second_price_sealed_bid":
        fallback = reserve if reserve is not None else 0.0
        return ranked[0].agent_id, ranked[1].amount if len(ranked) > 1 else fallback
    return ranked[0].agent_id, ranked[0].amount


SEALED = [
    {"auction_type": kind, **more}
    for kind in ("first_price_sealed_bid", "second_price_sealed_bid")
    for more in ({}, {"direction": "min"}, {"reserve": 5000.0}, {"reserve": 9999.0}, {"reveal_sec": 600.0})
]


@pytest.mark.parametrize("terms", SEALED, ids=lambda terms: "-".join(str(part) for part in terms.values()))
def test_sealed_bids_of_sixteen_processes_have_one_outcome_and_stay_secret(
    real: Backend, processes: ProcessGroup, terms: dict[str, Any]
) -> None:
    answers = processes.call(bid, real.url, "auction", terms)
    for number, (accepted, _) in enumerate(answers):
        assert accepted == amounts(number), "each bid replaces the last"
    assert {text for _, found in answers for text in found} == {"(None, None, None)", "sealed"}
    if "reveal_sec" in terms:
        stored = stored_bytes(str(real.url))
        for amount in (amount for number in range(16) for amount in amounts(number)):
            forms = (
                repr(amount).encode(),
                b"%.17g" % amount,
                struct.pack("<d", amount),
                struct.pack(">d", amount),
            )
            assert not any(form in stored for form in forms)
    (outcome,) = set(processes.call(finish, "auction"))
    with RedisStore.from_url(str(real.url), "race") as store:
        bids = BiddingProtocol.of("auction", store).bids()
    assert {bid.agent_id: bid.amount for bid in bids} == {
        f"agent {number}": amounts(number)[-1] for number in range(16)
    }
    assert (outcome.winner, outcome.price) == sale_by_rule(terms, bids)


@pytest.mark.parametrize("direction", ["max", "min"])
def test_an_english_auction_accepts_only_raises_of_sixteen_processes(
    real: Backend, processes: ProcessGroup, direction: str
) -> None:
    terms = {"auction_type": "english", "direction": direction, "increment": 0.5}
    answers = processes.call(bid, real.url, "auction", terms)
    (outcome,) = set(processes.call(finish, "auction"))
    with RedisStore.from_url(str(real.url), "race") as store:
        bids = BiddingProtocol.of("auction", store).bids()
    assert [bid.sequence for bid in bids] == list(range(1, len(bids) + 1))
    sign = -1 if direction == "min" else 1
    for before, after in pairwise(bids):
        assert before.amount is not None
        assert after.amount is not None
        assert sign * after.amount >= sign * (before.amount + sign * 0.5)
        assert after.agent_id != before.agent_id
    for number, (accepted, _) in enumerate(answers):
        assert [bid.amount for bid in bids if bid.agent_id == f"agent {number}"] == accepted
    assert (outcome.winner, outcome.price, outcome.sequence) == (
        bids[-1].agent_id,
        bids[-1].amount,
        len(bids),
    )


@pytest.mark.parametrize("direction", ["max", "min"])
def test_a_dutch_auction_accepts_one_bid_of_sixteen_processes(
    real: Backend, processes: ProcessGroup, direction: str
) -> None:
    terms = {
        "auction_type": "dutch",
        "direction": direction,
        "start_price": 5000.0,
        "decrement": 1.0,
        "tick_sec": 3600.0,
    }
    answers = processes.call(bid, real.url, "auction", terms)
    (outcome,) = set(processes.call(finish, "auction"))
    ((winner, amount),) = [
        (number, amount) for number, (accepted, _) in enumerate(answers) for amount in accepted
    ]
    assert (outcome.winner, outcome.price) == (f"agent {winner}", 5000.0)
    assert amount >= 5000 if direction == "max" else amount <= 5000
