"""Admission to pools: whitelists, tokens, limits, concurrent joins, trust."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from converge_redis import (
    AdmissionDeniedError,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
    PoolManager,
    PoolSpec,
    RedisStore,
    WhitelistAdmission,
)
from converge_redis.pools.model import token_digest
from tests.pools.conftest import Manager
from tests.pools.policies import Policy, Trust, TrustingPolicy, denied
from tests.support.backends import TIMEOUT


async def test_a_whitelist_admits_only_its_agents(manager: Manager) -> None:
    pool = await manager.create_pool({"admission_policy": WhitelistAdmission(allowed=["b", "a", "b"])})
    assert pool.admission_policy == WhitelistAdmission(allowed=["a", "b"])
    await manager.join_pool("a", pool.id)
    await denied(manager, "not_on_whitelist", "c", pool.id)
    assert (await manager.get_pool(pool.id)).members == ["a"]


async def test_tokens_are_checked_and_not_stored(manager: Manager, client: redis.Redis) -> None:
    pool = await manager.create_pool({"id": "p", "admission_policy": {"type": "token", "tokens": ["s3cret"]}})
    await manager.join_pool("a", "p", token="s3cret")
    for wrong in (None, "S3cret", token_digest("s3cret"), "sha256:" + token_digest("s3cret")):
        await denied(manager, "wrong_token", "b", "p", token=wrong)
    stored = list(map(client.dump, client.keys()))
    assert not any(b"s3cret" in value for value in stored if value)
    assert "s3cret" not in repr(pool)
    await manager.join_pool("a", "p")  # a member needs no token


async def test_a_full_pool_admits_only_its_members(manager: Manager) -> None:
    await manager.create_pool({"id": "p", "max_agents": 1})
    await manager.join_pool("a", "p")
    await denied(manager, "full", "b", "p")
    await manager.join_pool("a", "p")
    await manager.leave_pool("a", "p")
    await manager.join_pool("b", "p")


def test_ten_of_a_hundred_threads_get_the_ten_places(store: RedisStore) -> None:
    managers = [PoolManager(store) for _ in range(4)]
    managers[0].create_pool({"id": "p", "max_agents": 10})
    barrier = threading.Barrier(100, timeout=TIMEOUT)

    def join(number: int) -> str:
        barrier.wait()
        try:
            managers[number % 4].join_pool(f"agent {number}", "p")
        except AdmissionDeniedError as error:
            return error.reason
        return "joined"

    with ThreadPoolExecutor(100) as threads:
        outcomes = list(threads.map(join, range(100)))
    assert (outcomes.count("joined"), outcomes.count("full")) == (10, 90)
    pool = managers[0].get_pool("p")
    assert pool is not None
    joined = {f"agent {number}" for number, outcome in enumerate(outcomes) if outcome == "joined"}
    assert set(pool.members) == joined
    assert managers[0].audit() == []


async def test_ten_of_a_hundred_coroutines_get_the_ten_places(manager: Manager) -> None:
    await manager.create_pool({"id": "p", "max_agents": 10})
    joins = [manager.join_pool(f"agent {number}", "p") for number in range(100)]
    outcomes = await asyncio.gather(*joins, return_exceptions=True)
    assert outcomes.count(None) == 10
    assert all(isinstance(outcome, AdmissionDeniedError) for outcome in outcomes if outcome is not None)


async def test_agents_below_the_trust_threshold_are_denied(manager: Manager) -> None:
    await manager.create_pool({"id": "p", "trust_threshold": 0.5, "max_agents": 1})
    with pytest.raises(ConfigurationError, match=r"'p' .*0\.5.*use_trust"):
        await manager.join_pool("a", "p")
    await manager.use_trust(Trust(0.4))
    await denied(manager, "untrusted", "a", "p")
    await manager.use_trust(Trust(0.5))
    await manager.join_pool("a", "p")
    await denied(manager, "full", "b", "p")
    policy = TrustingPolicy(lambda *_: True)
    for pool_id, threshold in (("q", 0.9), ("r", 0.91)):
        await manager.create_pool(PoolSpec(id=pool_id, trust_threshold=threshold, admission_policy=policy))
    await manager.join_pool("a", "q")
    await denied(manager, "untrusted", "a", "r")


async def test_results_of_other_types_are_refused(manager: Manager) -> None:
    async def admit() -> bool:
        return True

    returns_a_coroutine: Any = lambda *_: admit()  # noqa: E731
    await manager.create_pool(PoolSpec(id="p", admission_policy=Policy(returns_a_coroutine)))
    with pytest.raises(InvalidTypeError, match=r"can_admit must return True or False, not coroutine"):
        await manager.join_pool("a", "p")
    await manager.create_pool({"id": "q", "trust_threshold": 0})
    for value, error in (("much", InvalidTypeError), (float("nan"), InvalidValueError)):
        await manager.use_trust(Trust(value))
        with pytest.raises(error, match="get_trust"):
            await manager.join_pool("a", "q")
