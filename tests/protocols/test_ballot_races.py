"""Ballots and pools with eight processes on the real server: no vote and no place counts twice."""

import asyncio
import random
from typing import Any

import pytest

from converge_redis import (
    AdmissionDeniedError,
    AsyncPoolManager,
    AsyncRedisStore,
    Ballot,
    PoolManager,
    PoolSpec,
    RedisStore,
)
from converge_redis.consensus.tally import tally
from tests.support.backends import Backend
from tests.support.processes import ProcessGroup

PROCESSES = 8
TERMS: dict[str, Any] = {
    "options": ["red", "green", "blue"],
    "voters": {f"voter {number}": 1 + number % 3 for number in range(50)},
    "method": "plurality",
}


def vote(number: int, url: str, quorum: int, voters: int) -> list[tuple[str, str]]:
    """Vote for all voters and for some agents that are not on the roll; return the accepted votes.

    Only the first eight processes do.
    """
    if number >= PROCESSES:
        return []
    rng = random.Random(number)
    accepted = []
    with RedisStore.from_url(url, "race") as store:
        ballot = Ballot(store, "ballot", quorum=quorum, **TERMS)
        agents = [*(f"voter {voter}" for voter in range(voters)), f"outsider {number}", "voter 50"]
        rng.shuffle(agents)
        for agent in agents:
            option = rng.choice(["red", "green", "blue"])
            if ballot.vote(agent, option):
                accepted.append((agent, option))
    return accepted


@pytest.mark.parametrize("missing", [0, 1])
def test_a_ballot_counts_one_vote_of_each_voter(real: Backend, processes: ProcessGroup, missing: int) -> None:
    """`missing`: how many votes the quorum is above the number of voters."""
    voters = 40
    answers = processes.call(vote, real.url, voters + missing, voters)
    accepted = [each for of_process in answers for each in of_process]
    votes = dict(accepted)
    assert len(accepted) == len(votes) == voters, "one vote for each voter"
    with RedisStore.from_url(str(real.url), "race") as store:
        ballot = Ballot.of("ballot", store)
        assert ballot.close()
        late = processes.call(vote, real.url, voters + missing, 50)
        assert late == [[]] * len(processes)
        expected = tally(
            "plurality",
            [(votes[agent], TERMS["voters"][agent]) for agent in sorted(votes)],
            quorum=voters + missing,
        )
        assert ballot.result() == expected
        assert (expected.reason == "no_quorum") is bool(missing), "the quorum is exact"
        snapshot = ballot.get_ballot()
        assert snapshot is not None
        assert snapshot.votes == votes


def join(number: int, url: str) -> list[str]:
    """Join agents to a pool of ten places, all at the same time; return those that are in it.

    Only the first eight processes do.
    """
    if number >= PROCESSES:
        return []
    agents = [f"agent {agent}" for agent in range(100) if agent % PROCESSES == number]

    async def join_all() -> list[str]:
        async with AsyncRedisStore.from_url(url, "race") as store:
            pools = AsyncPoolManager(store)

            async def join_one(agent: str) -> str | None:
                try:
                    await pools.join_pool(agent, "ten places")
                except AdmissionDeniedError as error:
                    return None if error.reason == "full" else error.reason
                return agent

            return [agent for agent in await asyncio.gather(*map(join_one, agents)) if agent]

    return asyncio.run(join_all())


def test_ten_of_a_hundred_agents_get_the_ten_places_of_a_pool(real: Backend, processes: ProcessGroup) -> None:
    with RedisStore.from_url(str(real.url), "race") as store:
        pools = PoolManager(store)
        pools.create_pool(PoolSpec(id="ten places", max_agents=10))
        joined = [agent for of_process in processes.call(join, real.url) for agent in of_process]
        assert len(joined) == 10
        pool = pools.get_pool("ten places")
        assert pool is not None
        assert sorted(pool.members) == sorted(joined)
