"""Processes that bid, negotiate, vote and join at once, on a real server: one outcome, by the rules."""

import asyncio
import random
import struct
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import redis

from converge_redis import (
    ActRefusedError,
    AdmissionDeniedError,
    AsyncPoolManager,
    AsyncRedisStore,
    Ballot,
    Bid,
    BiddingProtocol,
    NegotiationProtocol,
    NegotiationState,
    PoolManager,
    PoolSpec,
    RedisStore,
)
from converge_redis.consensus.tally import tally
from tests.support.backends import Backend
from tests.support.processes import ProcessGroup, process_group

BIDS = 200
SESSIONS = 500


@pytest.fixture(scope="module")
def sixteen() -> Iterator[ProcessGroup]:
    with process_group(16) as processes:
        yield processes


@pytest.fixture(scope="module")
def ten() -> Iterator[ProcessGroup]:
    with process_group(10) as processes:
        yield processes


@pytest.fixture(scope="module")
def eight() -> Iterator[ProcessGroup]:
    with process_group(8) as processes:
        yield processes


# Auctions

_open: dict[str, BiddingProtocol] = {}  # in each process: a commitment is revealed by the object that made it


def amounts(number: int) -> list[float]:
    """What a bidder bids, one after the other: numbers that are nowhere else."""
    chance = random.Random(number)
    return [round(chance.uniform(1000, 9000), 6) for _ in range(BIDS)]


def bid(number: int, url: str, auction_id: str, terms: dict[str, Any]) -> tuple[list[float], list[str]]:
    """Bid 200 times, and read all there is; returns the bids that were taken, and what could be read."""
    store = RedisStore.from_url(url, "race")
    auction = _open[auction_id] = BiddingProtocol(store=store, auction_id=auction_id, **terms)
    taken = [amount for amount in amounts(number) if auction.submit_bid(f"agent {number}", amount, amount)]
    seen = []
    snapshot = auction.get_auction()
    if snapshot is not None and snapshot.state == "open":
        seen.append(repr((snapshot.current_price, snapshot.leader, snapshot.outcome)))
    try:
        seen.append(repr(auction.bids()))
    except ActRefusedError as error:
        seen.append(error.reason)
    return taken, seen


def finish(_number: int, auction_id: str) -> Any:
    auction = _open.pop(auction_id)
    auction.resolve()
    outcome = auction.wait_for_outcome(30)
    auction.store.close()
    return outcome


def everything(url: str) -> bytes:
    """All that the server stores, as raw bytes."""
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


def by_the_rule(terms: dict[str, Any], bids: list[Bid]) -> tuple[str | None, float | None]:
    """Winner and price, computed anew from the recorded bids."""
    sign = -1 if terms.get("direction") == "min" else 1
    reserve = terms.get("reserve")
    fit = [
        one
        for one in bids
        if one.amount is not None and (reserve is None or sign * one.amount >= sign * reserve)
    ]
    if not fit:
        return None, None
    ranked = sorted(fit, key=lambda one: (-sign * (one.amount or 0), one.sequence))
    if terms["auction_type"] == "second_price_sealed_bid":
        fallback = reserve if reserve is not None else 0.0
        return ranked[0].agent_id, ranked[1].amount if len(ranked) > 1 else fallback
    return ranked[0].agent_id, ranked[0].amount


SEALED = [
    {"auction_type": kind, **more}
    for kind in ("first_price_sealed_bid", "second_price_sealed_bid")
    for more in ({}, {"direction": "min"}, {"reserve": 5000.0}, {"reserve": 9999.0}, {"reveal_sec": 60.0})
]


@pytest.mark.parametrize("terms", SEALED, ids=lambda terms: "-".join(str(part) for part in terms.values()))
def test_sealed_bids_of_sixteen_processes(
    real: Backend, sixteen: ProcessGroup, terms: dict[str, Any]
) -> None:
    told = sixteen.call(bid, real.url, "auction", terms)
    assert all(taken == amounts(number) for number, (taken, _) in enumerate(told)), (
        "each bid replaces the last"
    )
    assert {fact for _, seen in told for fact in seen} == {"(None, None, None)", "sealed"}
    if "reveal_sec" in terms:
        stored = everything(str(real.url))
        for amount in (amount for number in range(16) for amount in amounts(number)):
            forms = (
                repr(amount).encode(),
                b"%.17g" % amount,
                struct.pack("<d", amount),
                struct.pack(">d", amount),
            )
            assert not any(form in stored for form in forms)
    (outcome,) = set(sixteen.call(finish, "auction"))
    with RedisStore.from_url(str(real.url), "race") as store:
        bids = BiddingProtocol.of("auction", store).bids()
    assert {one.agent_id: one.amount for one in bids} == {
        f"agent {number}": amounts(number)[-1] for number in range(16)
    }
    assert (outcome.winner, outcome.price) == by_the_rule(terms, bids)


@pytest.mark.parametrize("direction", ["max", "min"])
def test_an_english_auction_of_sixteen_processes(
    real: Backend, sixteen: ProcessGroup, direction: str
) -> None:
    terms = {"auction_type": "english", "direction": direction, "increment": 0.5}
    told = sixteen.call(bid, real.url, "auction", terms)
    (outcome,) = set(sixteen.call(finish, "auction"))
    with RedisStore.from_url(str(real.url), "race") as store:
        bids = BiddingProtocol.of("auction", store).bids()
    assert [one.sequence for one in bids] == list(range(1, len(bids) + 1))
    sign = -1 if direction == "min" else 1
    for before, after in pairwise(bids):
        assert before.amount is not None
        assert after.amount is not None
        assert sign * after.amount >= sign * (before.amount + sign * 0.5)
        assert after.agent_id != before.agent_id
    for number, (taken, _) in enumerate(told):
        assert [one.amount for one in bids if one.agent_id == f"agent {number}"] == taken
    assert (outcome.winner, outcome.price, outcome.sequence) == (
        bids[-1].agent_id,
        bids[-1].amount,
        len(bids),
    )


@pytest.mark.parametrize("direction", ["max", "min"])
def test_one_of_sixteen_gets_the_price_of_a_dutch_auction(
    real: Backend, sixteen: ProcessGroup, direction: str
) -> None:
    terms = {
        "auction_type": "dutch",
        "direction": direction,
        "start_price": 5000.0,
        "decrement": 1.0,
        "tick_sec": 3600.0,
    }
    told = sixteen.call(bid, real.url, "auction", terms)
    (outcome,) = set(sixteen.call(finish, "auction"))
    ((winner, amount),) = [(number, amount) for number, (taken, _) in enumerate(told) for amount in taken]
    assert (outcome.winner, outcome.price) == (f"agent {winner}", 5000.0)
    assert amount >= 5000 if direction == "max" else amount <= 5000


# Negotiations

Log = dict[str, list[tuple[str, str | None]]]


def haggle(number: int, url: str, session_ids: list[str]) -> Log:
    """Accept, reject and counter as chance has it; returns what was done in each session."""
    chance = random.Random(number)
    me = f"agent {number}"
    log: Log = {}
    with RedisStore.from_url(url, "race") as store:
        protocol = NegotiationProtocol(store)
        for session_id in session_ids:
            acts = log[session_id] = []
            for _ in range(4):
                read = protocol.get_session(session_id)
                assert read is not None
                named = read.current_proposal.id
                act = chance.choice(
                    ["accept", "reject", "propose", "propose", "propose", "propose", "propose"]
                )
                if act == "propose":
                    if protocol.propose(session_id, me, (me, len(acts))):
                        acts.append(("propose", None))
                elif getattr(protocol, act)(session_id, me, named):
                    acts.append((act, named))
    return log


def test_every_session_is_explained_by_some_order_of_the_calls(real: Backend, ten: ProcessGroup) -> None:
    agents = [f"agent {number}" for number in range(len(ten))]
    with RedisStore.from_url(str(real.url), "race") as store:
        protocol = NegotiationProtocol(store)
        ids = [protocol.create_session("agent 0", agents, "first") for _ in range(SESSIONS)]
        logs: list[Log] = ten.call(haggle, real.url, ids)
        ends: Counter[str] = Counter()
        for session_id in ids:
            session = protocol.get_session(session_id)
            assert session is not None
            ends[session.state] += 1
            # The order: the proposals as the history has them, then what ended it; all answers agree with it.
            made = Counter(one.proposer_id for one in session.history[1:])
            acts = {agent: log[session_id] for agent, log in zip(agents, logs, strict=True)}
            assert made == Counter(
                agent for agent, done in acts.items() for act, _ in done if act == "propose"
            )
            for agent in acts:
                own = [one.content for one in session.history[1:] if one.proposer_id == agent]
                assert [content[1] for content in own] == sorted(content[1] for content in own), (
                    "each one's order"
                )
            final = [
                (agent, act, named) for agent, done in acts.items() for act, named in done if act != "propose"
            ]
            assert len(final) == session.state.terminal
            for agent, act, named in final:
                assert (session.ended_by, session.state) == (agent, f"{act}ed")
                assert named == session.current_proposal.id == f"{session_id}:{len(session.history)}"
                assert act == "reject" or agent != session.current_proposal.proposer_id
                assert acts[agent][-1] == (act, named), "nothing is done after the end"
        assert min(ends[NegotiationState.ACCEPTED], ends[NegotiationState.REJECTED]) > 10


# Ballots

TERMS: dict[str, Any] = {
    "options": ["red", "green", "blue"],
    "voters": {f"voter {number}": 1 + number % 3 for number in range(50)},
    "method": "plurality",
}


def vote(number: int, url: str, quorum: int, voters: int) -> list[tuple[str, str]]:
    """Vote for each voter several times, and for some outsiders; returns the votes that were taken."""
    chance = random.Random(number)
    taken = []
    with RedisStore.from_url(url, "race") as store:
        ballot = Ballot(store, "ballot", quorum=quorum, **TERMS)
        names = [f"voter {one}" for one in range(voters)] + [f"outsider {number}", "voter 50"]
        chance.shuffle(names)
        for name in names:
            option = chance.choice(["red", "green", "blue"])
            if ballot.vote(name, option):
                taken.append((name, option))
    return taken


@pytest.mark.parametrize("missing", [0, 1])
def test_a_ballot_of_fifty_voters_over_eight_processes(
    real: Backend, eight: ProcessGroup, missing: int
) -> None:
    voters = 40
    told = eight.call(vote, real.url, voters + missing, voters)
    taken = [each for of_process in told for each in of_process]
    votes = dict(taken)
    assert len(taken) == len(votes) == voters, "one vote for each voter"
    with RedisStore.from_url(str(real.url), "race") as store:
        ballot = Ballot.of("ballot", store)
        assert ballot.close()
        assert eight.call(vote, real.url, voters + missing, 50) == [[]] * 8, "late votes"
        wanted = tally(
            "plurality",
            [(votes[name], TERMS["voters"][name]) for name in sorted(votes)],
            quorum=voters + missing,
        )
        assert ballot.result() == wanted
        assert (wanted.reason == "no_quorum") is bool(missing), "the quorum is exact"
        state = ballot.get_ballot()
        assert state is not None
        assert state.votes == votes


# Pools


def join(number: int, url: str) -> list[str]:
    async def join_all() -> list[str]:
        async with AsyncRedisStore.from_url(url, "race") as store:
            pools = AsyncPoolManager(store)

            async def join_one(agent: str) -> str | None:
                try:
                    await pools.join_pool(agent, "ten places")
                except AdmissionDeniedError as error:
                    return None if error.reason == "full" else error.reason
                return agent

            mine = [f"agent {one}" for one in range(100) if one % 8 == number]
            return [agent for agent in await asyncio.gather(*map(join_one, mine)) if agent]

    return asyncio.run(join_all())


def test_ten_of_a_hundred_are_in(real: Backend, eight: ProcessGroup) -> None:
    with RedisStore.from_url(str(real.url), "race") as store:
        pools = PoolManager(store)
        pools.create_pool(PoolSpec(id="ten places", max_agents=10))
        joined = [agent for of_process in eight.call(join, real.url) for agent in of_process]
        assert len(joined) == 10
        pool = pools.get_pool("ten places")
        assert pool is not None
        assert sorted(pool.members) == sorted(joined)
