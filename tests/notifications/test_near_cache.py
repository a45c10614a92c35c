"""The near cache of a store: what it answers, and what it must never answer."""

import inspect
import logging
import os
from collections.abc import Callable
from typing import Any, cast

import pytest

from converge_redis import (
    AsyncPoolManager,
    AsyncSharedCache,
    AsyncTaskManager,
    NearCache,
    NearStatistics,
    PoolManager,
    RedisStore,
    SharedCache,
    Task,
    TaskManager,
    TaskState,
)
from tests.support.backends import Backend, eventually, until
from tests.support.fleet import Fleet, InThreads, in_thread


async def statistics(store: Any) -> NearStatistics:
    found = store.near_statistics()
    if inspect.isawaitable(found):
        found = await found
    assert isinstance(found, NearStatistics)
    return found


async def near_store(fleet: Fleet, **settings: int) -> Any:
    """A store whose near cache is on."""
    store = fleet.store(near_cache=NearCache(**settings))
    await store.put("warm", 1)

    async def is_on() -> bool:
        await store.get("warm")
        return (await statistics(store)).hits > 0

    await eventually(is_on)
    return store


async def is_answered_near(store: Any, read: Callable[[], Any]) -> None:
    """Wait until a copy answers; the message about a write of one's own may drop the first."""

    async def hits() -> bool:
        before = (await statistics(store)).hits
        await read()
        return (await statistics(store)).hits > before

    await eventually(hits)


def calls(fleet: Fleet) -> int:
    told: Any = fleet.raw.info("commandstats")
    return sum(told.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "get", "mget"))


async def test_a_hit_costs_no_round_trip(real_fleet: Fleet) -> None:
    store = await near_store(real_fleet)
    await store.put("key", {"a": [1]})
    await is_answered_near(store, lambda: store.get("key"))
    before = calls(real_fleet)
    for _ in range(20):
        found = await store.get("key")
        assert found == {"a": [1]}
        found["a"].append(2)  # what a reader does to it is the reader's own
    assert await store.get_many(["key"]) == {"key": {"a": [1]}}
    assert calls(real_fleet) == before


async def test_a_write_elsewhere_is_seen(real_fleet: Fleet) -> None:
    store, other = await near_store(real_fleet), real_fleet.store()
    acts: list[tuple[Callable[[], Any], Any]] = [
        (lambda: other.put("key", 2), 2),
        (lambda: other.put_many({"key": 3, "more": 1}), 3),
        (lambda: other.delete("key"), None),
        (lambda: other.put_if_absent("key", 4), 4),
        (lambda: other.clear("ke"), None),
        (lambda: other.put("key", 5, ttl=1000), 5),
    ]
    for act, wanted in acts:
        await store.get("key")
        await act()

        async def seen(wanted: Any = wanted) -> bool:
            return bool(await store.get("key") == wanted)

        await eventually(seen)


async def test_own_writes_are_seen_at_once(real_fleet: Fleet) -> None:
    store = await near_store(real_fleet)
    for number in range(200):
        await store.put("key", number)
        assert await store.get("key") == number
    await store.put_many({"key": "many"})
    assert await store.get("key") == "many"
    version = (await store.get_versioned("key")).version
    await store.compare_and_set("key", "set", version)
    assert await store.get("key") == "set"
    await store.delete("key")
    assert await store.get("key") is None
    await store.put("key", 1)
    assert await store.get("key") == 1
    await store.clear()
    assert await store.get("key") is None


async def test_a_copy_expires_with_its_value(real_fleet: Fleet) -> None:
    store = await near_store(real_fleet)
    await store.put("key", 1, ttl=0.15)
    assert await store.get("key") == 1

    async def gone() -> bool:
        return await store.get("key") is None

    await eventually(gone)


async def test_a_lost_connection_drops_all_copies(real_fleet: Fleet) -> None:
    store, other = await near_store(real_fleet), real_fleet.store()
    await store.put("key", 1)
    await store.get("key")
    real_fleet.raw.client_kill_filter(_type="pubsub")

    async def lost() -> bool:
        return (await statistics(store)).losses >= 1

    await eventually(lost)
    await other.put("key", 2)

    async def hits() -> bool:
        before = (await statistics(store)).hits
        assert await store.get("key") == 2
        return (await statistics(store)).hits > before

    await eventually(hits)
    real_fleet.raw.flushall()

    async def gone() -> bool:
        return await store.get("key") is None

    await eventually(gone)
    real_fleet.is_intact = False


async def test_tasks_that_have_ended(real_fleet: Fleet) -> None:
    store = await near_store(real_fleet)
    manager: Any = (
        InThreads(TaskManager(store._blocking)) if real_fleet.style == "sync" else AsyncTaskManager(store)
    )
    task_id = await manager.submit(Task())
    assert (await manager.get_task(task_id)).state is TaskState.PENDING
    await manager.claim("a", task_id)
    assert (await manager.get_task(task_id)).state is TaskState.ASSIGNED
    await manager.fail_task(task_id, "why", agent_id="a")
    first = await manager.get_task(task_id)
    await is_answered_near(store, lambda: manager.get_task(task_id))
    assert await manager.get_task(task_id) == first
    await manager.refresh_from_store()
    assert (await statistics(store)).entries == 0
    assert await manager.get_task(task_id) == first
    assert await manager.requeue_task(task_id)
    assert (await manager.get_task(task_id)).state is TaskState.PENDING
    await manager.claim("a", task_id)
    await manager.report("a", task_id, {"x": [1]})
    assert (await manager.get_task(task_id)).result == {"x": [1]}
    (await manager.get_task(task_id)).result["x"].append(2)
    assert (await manager.get_task(task_id)).result == {"x": [1]}


async def test_pools(real_fleet: Fleet) -> None:
    store, other = await near_store(real_fleet), real_fleet.store()
    sync = real_fleet.style == "sync"
    pools: Any = InThreads(PoolManager(store._blocking)) if sync else AsyncPoolManager(store)
    elsewhere: Any = InThreads(PoolManager(cast("Any", other)._blocking)) if sync else AsyncPoolManager(other)
    assert await pools.get_pool("p") is None
    await pools.create_pool({"id": "p", "max_agents": 2})
    await pools.join_pool("a", "p")
    assert (await pools.get_pool("p")).members == ["a"]
    assert await pools.get_pools_for_agent("a") == ["p"]
    await is_answered_near(store, lambda: pools.get_pool("p"))
    await is_answered_near(store, lambda: pools.get_pools_for_agent("a"))
    (await pools.get_pool("p")).members.append("forged")
    assert (await pools.get_pool("p")).members == ["a"]
    assert await pools.get_pools_for_agent("a") == ["p"]
    await elsewhere.join_pool("b", "p")

    async def joined() -> bool:
        return bool((await pools.get_pool("p")).members == ["a", "b"])

    await eventually(joined)
    await pools.leave_pool("a", "p")
    assert (await pools.get_pool("p")).members == ["b"]
    assert await pools.get_pools_for_agent("a") == []
    await pools.delete_pool("p")
    assert await pools.get_pool("p") is None
    assert await pools.get_pools_for_agent("b") == []


async def test_a_shared_cache_has_near_hits(real_fleet: Fleet) -> None:
    store, other = await near_store(real_fleet), real_fleet.store()
    sync = real_fleet.style == "sync"
    kind: Any = SharedCache if sync else AsyncSharedCache
    cache: Any = kind(store._blocking if sync else store)
    elsewhere: Any = kind(cast("Any", other)._blocking if sync else other)
    for one in (cache, elsewhere):
        assert one.statistics().near_hits == 0

    async def ask(which: Any, value: int = 1) -> Any:
        call = which.get_or_compute
        given = ("key", lambda: value, 100)
        return await (in_thread(call, *given, tags=["t"]) if sync else call(*given, tags=["t"]))

    async def act(method: Any, *arguments: Any) -> Any:
        return await (in_thread(method, *arguments) if sync else method(*arguments))

    assert await ask(cache) == 1
    assert await ask(cache) == 1

    async def near_hits() -> bool:
        before = cache.statistics().near_hits
        assert await ask(cache, 2) == 1
        return bool(cache.statistics().near_hits > before)

    await eventually(near_hits)
    await act(elsewhere.delete_tags, "t")

    async def renewed() -> bool:
        return bool(await ask(cache, 3) == 3)

    await eventually(renewed)
    await ask(cache, 4)
    await act(cache.delete_tags, "t")
    assert await ask(cache, 4) == 4
    await act(cache.delete, "key")
    assert await ask(cache, 5) == 5
    assert await act(cache.get, "key") == 5


def test_a_server_that_does_not_track_keys(caplog: pytest.LogCaptureFixture, servers: Any) -> None:
    import fakeredis

    backend = Backend("fake", fake=fakeredis.FakeServer())
    with caplog.at_level(logging.WARNING), backend.store(near_cache=NearCache()) as store:
        store.put("key", 1)
        assert store.get("key") == 1
        until(lambda: "the near cache is off" in caplog.text)
        assert store.get("key") == 1
        assert TaskManager(store).wait("unknown", 0.1) is None
        assert store.near_statistics().hits == 0
    backend.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_fork_has_its_own_copies(real: Backend) -> None:
    with RedisStore.from_url(str(real.url), "test", near_cache=NearCache()) as store:
        store.put("key", 1)
        until(lambda: store.get("key") == 1 and store.near_statistics().hits > 0)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.read(read, 1)
                os._exit(0 if store.get("key") == 2 else 1)
            finally:
                os._exit(2)
        store.put("key", 2)
        os.write(write, b"x")
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
