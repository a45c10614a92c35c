"""The near cache of a store: reads without a round trip, which never return an outdated value."""

import inspect
import itertools
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


async def is_near_hit(store: Any, read: Callable[[], Any]) -> bool:
    """Read once; return whether the near cache has answered."""
    before = (await statistics(store)).hits
    await read()
    return (await statistics(store)).hits > before


class NearStores:
    """A store with a near cache, and a store without one that writes the same values.

    Attributes:
        store: The store with the near cache, which is on.
        other: The other store.
    """

    def __init__(self, fleet: Fleet) -> None:
        self.other: Any = fleet.store()
        self.store: Any = fleet.store(near_cache=NearCache())
        self._numbers = itertools.count()

    async def start(self) -> "NearStores":
        await self.other.put("sentinel", next(self._numbers))
        await self.until_near(lambda: self.store.get("sentinel"))
        return self

    async def until_near(self, read: Callable[[], Any]) -> None:
        """Read until the near cache answers."""
        await eventually(lambda: is_near_hit(self.store, read))

    async def receive_all(self) -> None:
        """Wait until the near cache has received the messages about all writes so far.

        Messages arrive in the order of the writes, so that of a last write arrives after all others. It has
        arrived when the near cache, which holds the value of the write before, no longer returns that.
        """
        await self.until_near(lambda: self.store.get("sentinel"))
        number = next(self._numbers)
        await self.other.put("sentinel", number)

        async def is_received() -> bool:
            return bool(await self.store.get("sentinel") == number)

        await eventually(is_received)


@pytest.fixture
async def stores(real_fleet: Fleet) -> NearStores:
    return await NearStores(real_fleet).start()


def calls(fleet: Fleet) -> int:
    """Return how many scripts and reads the server has executed."""
    commands: Any = fleet.raw.info("commandstats")
    return sum(commands.get(f"cmdstat_{name}", {}).get("calls", 0) for name in ("evalsha", "get", "mget"))


async def test_a_hit_makes_no_round_trip(stores: NearStores, real_fleet: Fleet) -> None:
    store = stores.store
    await store.put("key", {"a": [1]})
    await stores.receive_all()
    await stores.until_near(lambda: store.get("key"))
    before = calls(real_fleet)
    for _ in range(20):
        found = await store.get("key")
        assert found == {"a": [1]}
        found["a"].append(2)  # each reader has its own copy
    assert await store.get_many(["key"]) == {"key": {"a": [1]}}
    assert calls(real_fleet) == before


async def test_writes_of_another_store_become_visible(stores: NearStores) -> None:
    store, other = stores.store, stores.other
    writes: list[tuple[Callable[[], Any], Any]] = [
        (lambda: other.put("key", 2), 2),
        (lambda: other.put_many({"key": 3, "more": 1}), 3),
        (lambda: other.delete("key"), None),
        (lambda: other.put_if_absent("key", 4), 4),
        (lambda: other.clear("ke"), None),
        (lambda: other.put("key", 5, ttl=1000), 5),
    ]
    for write, value in writes:
        await store.get("key")
        await write()

        async def is_visible(value: Any = value) -> bool:
            return bool(await store.get("key") == value)

        await eventually(is_visible)


async def test_own_writes_are_visible_at_once(stores: NearStores) -> None:
    store = stores.store
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


async def test_a_near_entry_expires_with_its_value(stores: NearStores) -> None:
    store = stores.store
    ttl = 0.1

    async def is_stored_near() -> bool:
        """Store the value for twice as long as before, until the near cache answers in time."""
        nonlocal ttl
        ttl *= 2
        await store.put("key", 1, ttl=ttl)
        await stores.receive_all()
        first = await store.get("key")
        return first == 1 and await is_near_hit(store, lambda: store.get("key"))

    await eventually(is_stored_near)

    async def is_gone() -> bool:
        return await store.get("key") is None

    await eventually(is_gone)


async def test_a_lost_connection_drops_all_entries(stores: NearStores, real_fleet: Fleet) -> None:
    store, other = stores.store, stores.other
    await store.put("key", 1)
    await store.get("key")
    assert real_fleet.raw.client_kill_filter(_type="pubsub") >= 1

    async def is_lost() -> bool:
        return (await statistics(store)).losses >= 1

    await eventually(is_lost)
    await other.put("key", 2)

    async def is_near() -> bool:
        before = (await statistics(store)).hits
        assert await store.get("key") == 2
        return (await statistics(store)).hits > before

    await eventually(is_near)
    real_fleet.raw.flushall()

    async def is_gone() -> bool:
        return await store.get("key") is None

    await eventually(is_gone)
    real_fleet.is_intact = False


async def test_ended_tasks_are_read_near(stores: NearStores, real_fleet: Fleet) -> None:
    store = stores.store
    manager: Any = (
        InThreads(TaskManager(store._blocking)) if real_fleet.style == "sync" else AsyncTaskManager(store)
    )
    task_id = await manager.submit(Task())
    assert (await manager.get_task(task_id)).state is TaskState.PENDING
    await manager.claim("a", task_id)
    assert (await manager.get_task(task_id)).state is TaskState.ASSIGNED
    await manager.fail_task(task_id, "why", agent_id="a")
    failed = await manager.get_task(task_id)
    await stores.until_near(lambda: manager.get_task(task_id))
    assert await manager.get_task(task_id) == failed
    await manager.refresh_from_store()
    assert (await statistics(store)).entries == 0
    assert await manager.get_task(task_id) == failed
    assert await manager.requeue_task(task_id)
    assert (await manager.get_task(task_id)).state is TaskState.PENDING
    await manager.claim("a", task_id)
    await manager.report("a", task_id, {"x": [1]})
    assert (await manager.get_task(task_id)).result == {"x": [1]}
    (await manager.get_task(task_id)).result["x"].append(2)
    assert (await manager.get_task(task_id)).result == {"x": [1]}


async def test_pools_and_memberships_are_read_near(stores: NearStores, real_fleet: Fleet) -> None:
    store, other = stores.store, stores.other
    is_blocking = real_fleet.style == "sync"
    pools: Any = InThreads(PoolManager(store._blocking)) if is_blocking else AsyncPoolManager(store)
    other_pools: Any = InThreads(PoolManager(other._blocking)) if is_blocking else AsyncPoolManager(other)
    assert await pools.get_pool("p") is None
    await pools.create_pool({"id": "p", "max_agents": 2})
    await pools.join_pool("a", "p")
    assert (await pools.get_pool("p")).members == ["a"]
    assert await pools.get_pools_for_agent("a") == ["p"]
    await stores.until_near(lambda: pools.get_pool("p"))
    await stores.until_near(lambda: pools.get_pools_for_agent("a"))
    (await pools.get_pool("p")).members.append("forged")
    assert (await pools.get_pool("p")).members == ["a"]
    assert await pools.get_pools_for_agent("a") == ["p"]
    await other_pools.join_pool("b", "p")

    async def has_joined() -> bool:
        return bool((await pools.get_pool("p")).members == ["a", "b"])

    await eventually(has_joined)
    await pools.leave_pool("a", "p")
    assert (await pools.get_pool("p")).members == ["b"]
    assert await pools.get_pools_for_agent("a") == []
    await pools.delete_pool("p")
    assert await pools.get_pool("p") is None
    assert await pools.get_pools_for_agent("b") == []


async def test_cached_results_are_read_near(stores: NearStores, real_fleet: Fleet) -> None:
    is_blocking = real_fleet.style == "sync"
    kind: Any = SharedCache if is_blocking else AsyncSharedCache
    cache, other_cache = (
        kind(cast("Any", store)._blocking if is_blocking else store) for store in (stores.store, stores.other)
    )
    assert cache.statistics().near_hits == other_cache.statistics().near_hits == 0

    async def call(method: Any, *args: Any, **options: Any) -> Any:
        return await (in_thread(method, *args, **options) if is_blocking else method(*args, **options))

    async def compute(value: int) -> Any:
        return await call(cache.get_or_compute, "key", lambda: value, 100, tags=["t"])

    assert await compute(1) == 1
    assert await compute(1) == 1

    async def is_near() -> bool:
        before = cache.statistics().near_hits
        assert await compute(2) == 1
        return bool(cache.statistics().near_hits > before)

    await eventually(is_near)
    await call(other_cache.delete_tags, "t")

    async def is_computed_again() -> bool:
        return bool(await compute(3) == 3)

    await eventually(is_computed_again)
    await compute(4)
    await call(cache.delete_tags, "t")
    assert await compute(4) == 4
    await call(cache.delete, "key")
    assert await compute(5) == 5
    assert await call(cache.get, "key") == 5


def test_without_key_tracking_a_store_works_without_its_near_cache(
    caplog: pytest.LogCaptureFixture,
) -> None:
    import fakeredis

    backend = Backend(fake=fakeredis.FakeServer())
    with caplog.at_level(logging.WARNING), backend.store(near_cache=NearCache()) as store:
        store.put("key", 1)
        assert store.get("key") == 1
        until(lambda: "the near cache is off" in caplog.text)
        assert store.get("key") == 1
        assert TaskManager(store).wait("unknown", 0.1) is None
        assert store.near_statistics().hits == 0
    backend.close()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_no_entries_of_its_parent(real: Backend) -> None:
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
