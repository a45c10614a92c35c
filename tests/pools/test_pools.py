"""Pools: their life, lists, members, retried calls, and the audit."""

from typing import Any

import pytest
import redis

from converge_redis import (
    InvalidTypeError,
    InvalidValueError,
    OpenAdmission,
    PoolExistsError,
    PoolManager,
    PoolNotFoundError,
    PoolSpec,
    RedisStore,
    TokenAdmission,
    Topic,
    WhitelistAdmission,
)
from converge_redis.pools import operations
from converge_redis.pools.admission import PoolContext
from tests.pools.conftest import Manager
from tests.support.fleet import first_operation

FORGED = ["a:b", "{x}:pool:a", "new\nline", "nul\0", "}", "%7B", "*", "ünï", "(", "[", "-inf"]


async def test_a_pool_from_its_creation_to_its_deletion(manager: Manager) -> None:
    spec = PoolSpec(
        id="p",
        topics=[Topic("t"), Topic("u")],
        governance={"vote": ("majority", 2)},
        max_agents=3,
        metadata={"k": None},
    )
    created = await manager.create_pool(spec)
    assert created == await manager.get_pool("p")
    assert (created.topics, created.governance, created.max_agents) == (
        ["t", "u"],
        {"vote": ("majority", 2)},
        3,
    )
    assert (created.metadata, created.members) == ({"k": None}, [])
    assert created.admission_policy == OpenAdmission()
    for agent in ("b", "a", "c"):
        assert await manager.join_pool(agent, "p") is None
    joined = await manager.get_pool("p")
    assert joined.members == ["b", "a", "c"]
    assert joined.version > created.version
    assert joined.created_at == created.created_at > 1.7e9
    await manager.join_pool("a", "p")
    assert await manager.get_pool("p") == joined
    assert await manager.leave_pool("b", "p") is True
    assert await manager.leave_pool("b", "p") is False
    assert (await manager.get_pool("p")).members == ["a", "c"]
    assert await manager.delete_pool("p") is True
    assert await manager.delete_pool("p") is False
    assert await manager.get_pool("p") is None
    assert await manager.get_pools_for_agent("a") == []
    assert await manager.leave_pool("a", "p") is False
    with pytest.raises(PoolNotFoundError, match="'p'"):
        await manager.join_pool("a", "p")


async def test_a_deleted_pool_leaves_no_key(manager: Manager, client: redis.Redis) -> None:
    before = set(client.keys())
    for policy in ("open", WhitelistAdmission(allowed=["a"]), TokenAdmission(tokens=["t"])):
        pool = await manager.create_pool(PoolSpec(admission_policy=policy, max_agents=2))
        await manager.join_pool("a", pool.id, token="t")
        assert await manager.delete_pool(pool.id)
    assert set(client.keys()) <= before | {b"{converge}:layout"}


async def test_creating_a_pool_again_needs_an_equal_specification(manager: Manager) -> None:
    spec = {
        "id": "p",
        "metadata": {"a": 1, "b": 2},
        "admission_policy": {"type": "token", "tokens": ["x", "y"]},
    }
    first = await manager.create_pool(spec)
    await manager.join_pool("a", "p", token="x")
    reordered = {**spec, "metadata": {"b": 2, "a": 1}, "admission_policy": TokenAdmission(tokens=["y", "x"])}
    again = await manager.create_pool(reordered)
    assert (again.created_at, again.members) == (first.created_at, ["a"])
    assert await manager.create_pool(again) == again  # a snapshot is a specification too
    with pytest.raises(PoolExistsError, match="'p'"):
        await manager.create_pool({**spec, "max_agents": 5})
    assert await manager.get_pool("p") == again


async def test_pools_and_members_are_listed_in_order_and_in_pages(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "IDS_PER_SCRIPT", 3)
    assert await manager.list_pools() == []
    ids = [f"p{number}" for number in range(9)]
    for pool_id in reversed(ids):
        await manager.create_pool(PoolSpec(id=pool_id))
        await manager.join_pool("a", pool_id)
    assert await manager.list_pools() == ids
    assert await manager.list_pools(limit=4) == ids[:4]
    assert await manager.list_pools(limit=99) == ids
    assert await manager.get_pools_for_agent("a") == ids[::-1]
    for number in range(10):
        await manager.join_pool(f"agent {number}", "p0")
    assert (await manager.get_pool("p0")).members == ["a", *(f"agent {number}" for number in range(10))]


async def test_ids_cannot_forge_keys(manager: Manager) -> None:
    for pool_id in FORGED:
        await manager.create_pool({"id": pool_id})
        for agent in FORGED:
            await manager.join_pool(agent, pool_id)
    assert await manager.list_pools() == sorted(FORGED, key=str.encode)
    for forged in FORGED:
        assert (await manager.get_pool(forged)).members == FORGED
        assert await manager.get_pools_for_agent(forged) == FORGED
    assert await manager.leave_pool("*", "}")
    assert await manager.delete_pool("{x}:pool:a")
    remaining = [pool_id for pool_id in FORGED if pool_id not in {"}", "{x}:pool:a"}]
    assert await manager.get_pools_for_agent("*") == remaining


def test_a_retried_call_takes_effect_once(store: RedisStore) -> None:
    manager, context = PoolManager(store), PoolContext(store._namespace)
    assert manager.store is store
    create: Any = first_operation(operations.create_pool(context, {"id": "p"}))
    assert store._run(create)[0] == b"CREATED"
    assert store._run(create)[0] == b"EXISTS"

    join: Any = first_operation(operations.join_pool(context, "a", "p"))
    assert store._run(join) is True
    version = getattr(manager.get_pool("p"), "version", None)
    assert store._run(join) is True
    assert getattr(manager.get_pool("p"), "version", None) == version

    leave: Any = first_operation(operations.leave_pool(context, "a", "p"))
    assert store._run(leave) is True
    assert store._run(leave) is True
    assert store._run(join) is True  # the earlier join, retried: the agent does not join again
    assert manager.get_pools_for_agent("a") == []
    manager.join_pool("a", "p")
    assert store._run(leave) is True  # the earlier leave, retried: the agent does not leave again
    assert manager.get_pools_for_agent("a") == ["p"]

    delete: Any = first_operation(operations.delete_pool(context, "p"))
    assert store._run(delete) is True
    assert store._run(delete) is True
    manager.create_pool({"id": "p"})
    assert store._run(delete) is True  # the earlier deletion, retried: the new pool stays
    assert manager.get_pool("p") is not None
    assert manager.audit() == []


async def test_invalid_arguments_are_named_with_their_value(manager: Manager) -> None:
    await manager.create_pool({"id": "p"})
    for method in ("join_pool", "leave_pool"):
        with pytest.raises(InvalidTypeError, match=r"agent_id .*5"):
            await getattr(manager, method)(5, "p")
        with pytest.raises(InvalidValueError, match="pool_id"):
            await getattr(manager, method)("a", "")
    for method in ("get_pool", "delete_pool"):
        with pytest.raises(InvalidTypeError, match=r"pool_id .*None"):
            await getattr(manager, method)(None)
    with pytest.raises(InvalidTypeError, match="token must be a string, not int"):
        await manager.join_pool("a", "p", token=5)
    with pytest.raises(InvalidValueError, match=r"limit .*0"):
        await manager.list_pools(limit=0)


def test_the_audit_finds_each_kind_of_violation(store: RedisStore, client: redis.Redis) -> None:
    manager = PoolManager(store)
    for pool_id in ("lost", "unlisted", "crowded", "half", "other half"):
        manager.create_pool({"id": pool_id, "max_agents": 2})
        manager.join_pool("a", pool_id)
    base = "{converge:pools}:"
    client.delete(f"{base}pool:lost")
    client.zrem(f"{base}pools", "unlisted")
    client.zadd(f"{base}members:crowded", {"b": 1, "c": 2})
    client.zrem(f"{base}members:half", "a")
    client.zrem(f"{base}agent:a", "other half")
    client.sadd(f"{base}admits:half", "x")
    assert {(violation.kind, violation.id) for violation in manager.audit()} == {
        ("missing_record", "lost"),
        ("leftover_key", "lost"),
        ("missing_entry", "unlisted"),
        ("too_many_members", "crowded"),
        ("member_without_membership", "crowded"),
        ("membership_without_member", "a"),
        ("member_without_membership", "other half"),
        ("leftover_key", "half"),
    }
