"""Admission policies that are Python objects: the process that joins calls them."""

from collections.abc import Callable
from typing import Any

import pytest

from converge_redis import (
    ConfigurationError,
    CustomAdmission,
    InvalidTypeError,
    Pool,
    PoolManager,
    PoolSpec,
    RedisStore,
)
from converge_redis.pools import operations
from tests.pools.conftest import Manager
from tests.pools.policies import NamedPolicy, Policy, denied


async def test_the_process_that_joins_calls_its_own_policy(
    manager: Manager, new_manager: Callable[[], Manager]
) -> None:
    policy = NamedPolicy(lambda agent_id, _: agent_id == "a")
    pool = await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    assert pool.admission_policy == CustomAdmission(name="named")
    await manager.join_pool("a", "p")
    await denied(manager, "policy", "b", "p")
    await manager.join_pool("a", "p")
    assert policy.members_seen == [[], ["a"]]  # it is not called for a member

    other = new_manager()
    with pytest.raises(ConfigurationError, match=r"pool 'p' .*'named'.*use_policy"):
        await other.join_pool("b", "p")
    await other.use_policy("named", Policy(lambda *_: True))
    await other.join_pool("b", "p")
    assert (await other.get_pool("p")).members == ["a", "b"]


async def test_two_pools_can_have_different_policies_of_one_class(manager: Manager) -> None:
    await manager.create_pool(PoolSpec(id="all", admission_policy=Policy(lambda *_: True)))
    await manager.create_pool(PoolSpec(id="none", admission_policy=Policy(lambda *_: False)))
    await manager.join_pool("a", "all")
    await denied(manager, "policy", "a", "none")


async def test_a_policy_is_called_again_if_the_pool_changes_meanwhile(
    manager: Manager, store: RedisStore
) -> None:
    other = PoolManager(store)
    other.use_policy("Policy", Policy(lambda *_: True))

    def admits(_: str, pool: Pool) -> bool:
        if not pool.members:
            other.join_pool("first", "p")
        return len(pool.members) < 1

    policy = Policy(admits)
    await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    await denied(manager, "policy", "late", "p")
    assert policy.members_seen == [[], ["first"]]
    assert (await manager.get_pool("p")).members == ["first"]


async def test_a_join_is_denied_if_the_pool_changes_during_each_call(
    manager: Manager, store: RedisStore
) -> None:
    other = PoolManager(store)
    other.use_policy("Policy", Policy(lambda *_: True))

    def admits(*_: Any) -> bool:
        if not other.leave_pool("other", "p"):
            other.join_pool("other", "p")
        return True

    policy = Policy(admits)
    await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    await denied(manager, "busy", "a", "p")
    assert len(policy.members_seen) == operations.MAX_POLICY_RETRIES


async def test_a_decision_about_a_deleted_pool_does_not_count_for_a_new_one(
    manager: Manager, store: RedisStore
) -> None:
    other = PoolManager(store)

    def admits(*_: Any) -> bool:
        other.delete_pool("p")
        other.create_pool({"id": "p", "admission_policy": {"type": "custom", "name": "strict"}})
        return True

    await manager.create_pool(PoolSpec(id="p", admission_policy=Policy(admits)))
    with pytest.raises(ConfigurationError, match="strict"):
        await manager.join_pool("a", "p")
    assert (await manager.get_pool("p")).members == []


async def test_coroutine_functions_and_classes_are_refused_as_policies(manager: Manager) -> None:
    class AsyncPolicy:
        async def can_admit(self, agent_id: str, pool: Pool) -> bool:
            return True

    policy: Any = AsyncPolicy()
    with pytest.raises(InvalidTypeError, match="plain function"):
        await manager.create_pool(PoolSpec(id="p", admission_policy=policy))
    with pytest.raises(InvalidTypeError, match="plain function"):
        await manager.use_policy("name", policy)
    with pytest.raises(InvalidTypeError, match="can_admit"):
        await manager.create_pool({"id": "p", "admission_policy": AsyncPolicy})
    with pytest.raises(InvalidTypeError, match="get_trust"):
        await manager.use_trust(policy)
    assert await manager.list_pools() == []
