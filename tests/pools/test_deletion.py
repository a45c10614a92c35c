"""Deleting pools with many members, which takes several scripts and may be interrupted."""

from typing import Any

import pytest
import redis

from converge_redis import PoolManager, PoolNotFoundError, RedisStore
from converge_redis.core.keys import Keys
from converge_redis.pools import operations
from converge_redis.pools.admission import PoolContext
from tests.pools.conftest import Manager
from tests.support.fleet import first_operation


async def create_large_pool(
    manager: Manager, client: redis.Redis, keys: Keys, pool_id: str, members: int
) -> None:
    """Create a pool with the members ``agent 0``, ``agent 1``, …, most of which are stored directly."""
    await manager.create_pool({"id": pool_id})
    for number in range(10):
        await manager.join_pool(f"agent {number}", pool_id)
    _, members_of, *_ = keys.pools
    last: Any = client.zrange(members_of + pool_id, -1, -1, withscores=True)[0][1]
    added = {f"agent {number}": int(last) + number for number in range(10, members)}
    with client.pipeline(transaction=False) as pipeline:
        pipeline.zadd(members_of + pool_id, added)
        for agent, score in added.items():
            pipeline.zadd(keys.pools_of(agent), {pool_id: score})
        pipeline.execute()


async def test_a_large_pool_is_deleted_in_batches(
    manager: Manager, store: RedisStore, client: redis.Redis
) -> None:
    await create_large_pool(manager, client, store._namespace.keys, "p", 1100)
    assert len((await manager.get_pool("p")).members) == 1100
    await manager.create_pool({"id": "q"})
    await manager.join_pool("agent 7", "q")
    assert await manager.delete_pool("p") is True
    assert await manager.get_pools_for_agent("agent 7") == ["q"]
    assert len(client.keys("*:agent:*")) == 1


async def test_an_interrupted_deletion_is_finished_by_the_next_call_for_the_pool(
    manager: Manager, store: RedisStore, client: redis.Redis
) -> None:
    context = PoolContext(store._namespace)
    for finish in ("delete", "create"):
        await create_large_pool(manager, client, store._namespace.keys, "p", 600)
        assert store._run(first_operation(operations.delete_pool(context, "p"))) is True
        assert await manager.get_pool("p") is None
        assert await manager.get_pools_for_agent("agent 7") == []
        with pytest.raises(PoolNotFoundError):
            await manager.join_pool("agent 7", "p")
        assert [violation.kind for violation in await manager.audit()] == ["unfinished_deletion"]
        if finish == "delete":
            assert await manager.delete_pool("p") is False
        else:
            assert (await manager.create_pool({"id": "p"})).members == []
            assert (await manager.get_pool("p")).members == []
        assert await manager.get_pools_for_agent("agent 7") == []
        assert await manager.audit() == []


def test_an_old_interrupted_deletion_is_finished_by_calls_for_other_pools(
    store: RedisStore, client: redis.Redis
) -> None:
    manager, namespace = PoolManager(store), store._namespace
    deleted = namespace.keys.deleted_pools()
    manager.create_pool({"id": "p"})
    manager.join_pool("a", "p")
    store._run(first_operation(operations.delete_pool(PoolContext(namespace), "p")))
    manager.create_pool({"id": "q"})
    assert client.hlen(deleted) == 1  # a recent deletion is left to its own process
    mark: Any = client.hget(deleted, "p")
    client.hset(deleted, "p", mark[:11] + b"1")
    manager.create_pool({"id": "r"})
    assert manager.audit() == []
