"""The shared cache: computed once, served fresh or stale, dropped by key and by tag."""

import asyncio
import inspect
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from converge_redis import (
    AsyncSharedCache,
    CacheStatistics,
    ComputeFailedError,
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
    SharedCache,
    StoreReplyError,
)
from converge_redis.cache.entries import CacheContext, CacheRequest, find_or_lock
from converge_redis.cache.statistics import EVENTS, CacheCounters
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet, first_operation, in_thread


class Computation:
    """Something slow to compute, as a function or a coroutine function, that waits to be let go on.

    Attributes:
        calls: How often it was begun.
    """

    def __init__(self, fleet: Fleet, value: Any = "computed", error: Exception | None = None) -> None:
        self.calls = 0
        self._value = value
        self._error = error
        self._may_end = threading.Event()
        self.function: Callable[[], Any] = self._block if fleet.style == "sync" else self._wait

    def _end(self) -> Any:
        if self._error is not None:
            raise self._error
        return self._value

    def _block(self) -> Any:
        self.calls += 1
        assert self._may_end.wait(TIMEOUT)
        return self._end()

    async def _wait(self) -> Any:
        self.calls += 1
        while not self._may_end.is_set():  # noqa: ASYNC110 - let go in blocking code too
            await asyncio.sleep(0.002)
        return self._end()

    def let_go(self) -> "Computation":
        self._may_end.set()
        return self

    async def begun(self) -> None:
        async def has_begun() -> bool:
            return self.calls > 0

        await eventually(has_begun)


def a_cache(fleet: Fleet, **options: Any) -> AsyncSharedCache:
    return fleet.protocol(SharedCache, AsyncSharedCache, **options)


def started(work: Awaitable[Any]) -> "asyncio.Future[Any]":
    return asyncio.ensure_future(work)


async def told(cache: AsyncSharedCache) -> CacheStatistics:
    found: Any = cache.statistics()
    return cast("CacheStatistics", await found if inspect.isawaitable(found) else found)


async def waits(cache: AsyncSharedCache) -> None:
    """Wait until a caller waits that looked once; a while later it is registered."""

    async def has_waited() -> bool:
        return (await told(cache)).waits > 0

    await eventually(has_waited)


async def test_computed_once_then_read(fleet: Fleet) -> None:
    caches = [a_cache(fleet) for _ in range(5)]
    computation = Computation(fleet, {"a": (1, 2)})
    asked = [started(cache.get_or_compute("key", computation.function, 100)) for cache in caches]

    async def all_ask() -> bool:
        return sum([(await told(cache)).misses for cache in caches]) == 5

    await eventually(all_ask)
    computation.let_go()
    assert await asyncio.gather(*asked) == [{"a": (1, 2)}] * 5
    assert computation.calls == 1
    assert await caches[0].get_or_compute("key", computation.function, 100) == {"a": (1, 2)}
    assert await caches[1].get("key") == {"a": (1, 2)}
    assert computation.calls == 1
    statistics = [await told(cache) for cache in caches]
    assert sum(one.computes for one in statistics) == 1
    assert sum(one.misses for one in statistics) == 5
    assert sum(one.hits for one in statistics) == 2
    assert sum(one.bytes_written for one in statistics) > 0


@pytest.mark.parametrize("value", [None, False, 0, "", b"", (), {"deep": [{1, 2}]}])
async def test_any_value_is_one(fleet: Fleet, value: Any) -> None:
    cache = a_cache(fleet)
    computation = Computation(fleet, value).let_go()
    for _ in range(3):
        assert await cache.get_or_compute("key", computation.function, 100) == value
    assert computation.calls == 1
    assert await cache.get("key", "default") == value
    assert await cache.get("other", "default") == "default"


async def test_computed_again_when_it_has_expired(fleet: Fleet) -> None:
    cache = a_cache(fleet)
    first, second = Computation(fleet, 1).let_go(), Computation(fleet, 2).let_go()
    assert await cache.get_or_compute("key", first.function, 0.05) == 1

    async def expired() -> bool:
        return await cache.get("key") is None

    await eventually(expired)
    assert await cache.get_or_compute("key", second.function, 100) == 2


async def test_stale_values_serve_while_one_computes(fleet: Fleet) -> None:
    cache, other = a_cache(fleet), a_cache(fleet)
    computation = Computation(fleet, "new")
    await cache.put("key", "old", 0.02, stale_ttl=100)
    await asyncio.sleep(0.05)
    assert await cache.get("key") is None  # which asks for fresh ones
    asked = started(cache.get_or_compute("key", computation.function, 100, stale_ttl=100))
    await computation.begun()
    for _ in range(3):
        assert await other.get_or_compute("key", computation.function, 100, stale_ttl=100) == "old"
    assert (await told(other)).stale_serves == 3
    computation.let_go()
    assert await asked == "new"
    assert await other.get_or_compute("key", computation.function, 100, stale_ttl=100) == "new"
    assert computation.calls == 1


async def test_those_who_wait_are_told_of_an_error(fleet: Fleet) -> None:
    cache, other = a_cache(fleet), a_cache(fleet)
    failing = Computation(fleet, error=KeyError("no such thing"))
    asked = started(cache.get_or_compute("key", failing.function, 100))
    await failing.begun()
    waiting = started(other.get_or_compute("key", failing.function, 100))
    await waits(other)
    failing.let_go()
    with pytest.raises(KeyError):
        await asked
    with pytest.raises(ComputeFailedError, match=r"'cache:key'.*KeyError: 'no such thing'") as raised:
        await waiting
    assert raised.value.reason == "KeyError: 'no such thing'"
    assert (await told(cache)).failures == 1
    again = Computation(fleet, "right").let_go()  # who comes later computes anew
    assert await other.get_or_compute("key", again.function, 100) == "right"


async def test_stale_values_in_place_of_an_error(fleet: Fleet) -> None:
    cache = a_cache(fleet)
    failing = Computation(fleet, error=KeyError("no")).let_go()
    with pytest.raises(KeyError):
        await cache.get_or_compute("key", failing.function, 100, on_error="stale")  # there is none
    await cache.put("key", "old", 0.02, stale_ttl=100)
    await asyncio.sleep(0.05)
    assert await cache.get_or_compute("key", failing.function, 100, on_error="stale") == "old"
    with pytest.raises(KeyError):
        await cache.get_or_compute("key", failing.function, 100)
    right = Computation(fleet, "new").let_go()
    assert await cache.get_or_compute("key", right.function, 100, on_error="stale") == "new"


async def test_a_computation_that_is_cancelled_passes_to_another(backend: Any) -> None:
    fleet = Fleet(backend, "async")
    cache, other, third = a_cache(fleet), a_cache(fleet), a_cache(fleet)
    never, right = Computation(fleet), Computation(fleet, "right").let_go()
    asked = started(cache.get_or_compute("key", never.function, 100, lock_ttl=1000))
    await never.begun()
    waiting = started(other.get_or_compute("key", right.function, 100, lock_ttl=1000))
    gives_up = started(third.get_or_compute("key", never.function, 100, lock_ttl=1000))
    await waits(other)
    await waits(third)
    gives_up.cancel()
    asked.cancel()
    assert await asyncio.wait_for(waiting, TIMEOUT) == "right"
    assert right.calls == 1
    await fleet.close()


async def test_long_computations_keep_their_lock(fleet: Fleet) -> None:
    cache, other = a_cache(fleet), a_cache(fleet)
    computation = Computation(fleet)
    asked = started(cache.get_or_compute("key", computation.function, 100, lock_ttl=0.3))
    await computation.begun()
    waiting = started(other.get_or_compute("key", computation.function, 100, lock_ttl=0.3))
    await asyncio.sleep(1.0)
    assert computation.calls == 1
    computation.let_go()
    assert [await asked, await waiting] == ["computed"] * 2


async def test_another_takes_over_from_one_that_has_died(fleet: Fleet) -> None:
    cache, context = (
        a_cache(fleet),
        CacheContext(fleet.namespaces["test"], "cache:", 0.0, CacheCounters("cache:", None)),
    )
    dead = first_operation(find_or_lock(context, CacheRequest("cache:key", "the dead", 300)))
    assert (await fleet.run(cast("Any", cache), dead)).word == b"COMPUTE"
    computation = Computation(fleet, "heir").let_go()
    begun = time.monotonic()
    assert await cache.get_or_compute("key", computation.function, 100) == "heir"
    assert 0.1 < time.monotonic() - begun < TIMEOUT
    late = Computation(fleet, "heir")
    assert await cache.get_or_compute("key", late.function, 100) == "heir"


@pytest.mark.parametrize("act", ["delete", "put", "delete_tags", "clear"])
async def test_what_is_out_of_date_is_not_stored(fleet: Fleet, act: str) -> None:
    cache, other = a_cache(fleet), a_cache(fleet)
    computation, later = Computation(fleet, "old"), Computation(fleet, "later").let_go()
    await cache.put("other", 1, 100, tags=["group"])
    asked = started(cache.get_or_compute("key", computation.function, 100, tags=["group"]))
    await computation.begun()
    match act:
        case "delete":
            await other.delete("key")
        case "put":
            await other.put("key", "put", 100)
        case "delete_tags":
            await other.delete_tags(["group", "unknown"])
        case _:
            await other.clear()
    computation.let_go()
    assert await asked == "old"  # it was asked for before
    wanted = {"put": "put", "clear": "old"}.get(act, "later")
    if act == "clear":  # what was not there yet is not cleared
        wanted = await other.get("key", "later")
    assert await other.get_or_compute("key", later.function, 100, tags=["group"]) == wanted


async def test_tags_drop_groups(fleet: Fleet) -> None:
    cache, other = a_cache(fleet), a_cache(fleet, prefix="apart:")
    await cache.put("a", 1, 100, tags=["x", "y z"])
    await cache.put("b", 2, 100, tags=["x"])
    await cache.put("c", 3, 100)
    await other.put("d", 4, 100, tags=["x"])
    await cache.delete_tags("y z")
    assert [await cache.get(key) for key in "abc"] == [None, 2, 3]
    await cache.delete_tags("x")
    assert [await cache.get(key) for key in "abc"] == [None, None, 3]
    assert await other.get("d") == 4
    await cache.put("a", 5, 100, tags=["x"])
    assert await cache.get("a") == 5
    await cache.delete_tags([])
    assert await cache.get("a") == 5


async def test_tags_last_as_long_as_what_has_them(fleet: Fleet) -> None:
    cache = a_cache(fleet)
    await cache.put("short", 1, 0.05, tags=["t"])
    await cache.put("long", 1, 1000, tags=["t"])
    await cache.put("short", 1, 0.05, tags=["t"])
    tag = fleet.namespaces["test"].keys.tag("cache%3At")
    assert fleet.raw.pttl(tag) > 1_000_000
    await cache.delete_tags("t")
    assert fleet.raw.pttl(tag) > 1_000_000
    assert await cache.get("long") is None


async def test_early_refresh(fleet: Fleet) -> None:
    cache = a_cache(fleet, early=1000.0)
    slow = Computation(fleet, "first")
    asked = started(cache.get_or_compute("key", slow.function, 20))
    await slow.begun()
    await asyncio.sleep(0.2)  # its cost; a thousand times that lies before its end
    slow.let_go()
    await asked
    refreshed = Computation(fleet, "second").let_go()

    async def again() -> bool:
        return bool(await cache.get_or_compute("key", refreshed.function, 20) == "second")

    await eventually(again)
    never_early = a_cache(fleet)
    unused = Computation(fleet)
    for _ in range(50):
        assert await never_early.get_or_compute("key", unused.function, 20) == "second"


async def test_caches_with_other_prefixes_are_apart(fleet: Fleet) -> None:
    cache, other = a_cache(fleet), a_cache(fleet, prefix="apart:")
    await cache.put("key", 1, 100)
    await other.put("key", 2, 100)
    assert [await cache.get("key"), await other.get("key")] == [1, 2]
    assert [await cache.count(), await other.count()] == [1, 1]
    assert await cache.clear() == 1
    assert [await cache.get("key"), await other.get("key")] == [None, 2]


@pytest.mark.parametrize(
    ("ask", "error", "told_of"),
    [
        (lambda c: c.get_or_compute("", int, 1), InvalidValueError, "key must not be empty"),
        (lambda c: c.get_or_compute("k" * 510, int, 1), InvalidValueError, "key with the cache's prefix"),
        (lambda c: c.get_or_compute("k", 5, 1), InvalidTypeError, "fn must be a function"),
        (lambda c: c.get_or_compute("k", int, 0), InvalidValueError, "ttl must be above 0"),
        (lambda c: c.get_or_compute("k", int, float("inf")), InvalidValueError, "ttl must be"),
        (
            lambda c: c.get_or_compute("k", int, 1, stale_ttl=-1),
            InvalidValueError,
            "stale_ttl must be from 0",
        ),
        (
            lambda c: c.get_or_compute("k", int, 1, lock_ttl=0.01),
            InvalidValueError,
            "lock_ttl must be at least",
        ),
        (lambda c: c.get_or_compute("k", int, 1, tags="t"), InvalidTypeError, "tags must be a list"),
        (lambda c: c.get_or_compute("k", int, 1, tags=[""]), InvalidValueError, "tags[0] must not be empty"),
        (
            lambda c: c.get_or_compute("k", int, 1, tags=[str(n) for n in range(101)]),
            InvalidValueError,
            "tags can be 100 at most",
        ),
        (
            lambda c: c.get_or_compute("k", int, 1, on_error="hide"),
            InvalidValueError,
            "on_error must be one of",
        ),
        (lambda c: c.get_or_compute("k", object, 1), InvalidTypeError, "value has the type builtins.object"),
        (lambda c: c.get_or_compute("k", lambda: "x" * 2**21, 1), PayloadTooLargeError, "payload_limit"),
        (lambda c: c.put("k", object(), 1), InvalidTypeError, "value has the type builtins.object"),
    ],
)
async def test_what_is_refused(fleet: Fleet, ask: Any, error: type[Exception], told_of: str) -> None:
    cache = a_cache(fleet)
    with pytest.raises(error) as raised:
        await ask(cache)
    assert told_of in str(raised.value)
    assert await cache.count() == 0
    right = Computation(fleet).let_go()
    assert await cache.get_or_compute("k", right.function, 100) == "computed"  # no lock is left behind


async def test_computations_inside_each_other(fleet: Fleet) -> None:
    asked = list[str]()
    if fleet.style == "sync":
        blocking: Any = cast("Any", a_cache(fleet))._blocking

        def inner() -> int:
            asked.append("inner")
            return 1

        def outer() -> Any:
            return blocking.get_or_compute("inner", inner, 100) + 1

        def itself() -> Any:
            return blocking.get_or_compute("itself", itself, 100)

        given: Any = (outer, itself)
        cache: Any = a_cache(fleet)
        run: Any = lambda key, fn: in_thread(blocking.get_or_compute, key, fn, 100)  # noqa: E731
    else:
        cache = a_cache(fleet)

        async def inner_async() -> int:
            asked.append("inner")
            return 1

        async def outer_async() -> Any:
            return await cache.get_or_compute("inner", inner_async, 100) + 1

        async def itself_async() -> Any:
            return await cache.get_or_compute("itself", itself_async, 100)

        given = (outer_async, itself_async)
        run = lambda key, fn: cache.get_or_compute(key, fn, 100)  # noqa: E731
    assert await run("outer", given[0]) == 2
    assert await cache.get("inner") == 1
    with pytest.raises(InvalidValueError, match="'itself' is asked for by its own computation"):
        await run("itself", given[1])
    right = Computation(fleet).let_go()
    assert await run("itself", right.function) == "computed"
    assert asked == ["inner"]


async def test_settings_that_are_refused(fleet: Fleet) -> None:
    with pytest.raises(InvalidTypeError, match="early must be a number"):
        a_cache(fleet, early="soon")
    with pytest.raises(InvalidValueError, match="early must be from 0"):
        a_cache(fleet, early=-1)
    with pytest.raises(InvalidValueError, match="prefix must not be empty"):
        a_cache(fleet, prefix="")


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"\n", b"1\n", b"1 x y z\n\x01", b"1 x\n\xc1", b"1\n\xc1", b"x 9999999999999 0 0\n\x01"],
)
async def test_hostile_entries_are_a_clear_error(fleet: Fleet, raw: bytes) -> None:
    cache = a_cache(fleet)
    fleet.is_intact = False
    fleet.raw.set(fleet.namespaces["test"].keys.value("cache:key"), raw)
    with pytest.raises(StoreReplyError):
        await cache.get("key")
    await cache.delete("key")
    computation = Computation(fleet).let_go()
    assert await cache.get_or_compute("key", computation.function, 100) == "computed"


async def test_entries_that_are_over_long_ago(fleet: Fleet) -> None:
    cache = a_cache(fleet)
    fleet.is_intact = False
    for raw in (b"1 2\n\x01", b"1 2 3 4 t\n\x01"):
        fleet.raw.set(fleet.namespaces["test"].keys.value("cache:key"), raw)
        assert await cache.get("key") is None


async def test_metrics(fleet: Fleet) -> None:
    counted = dict[str, float]()

    class Metrics:
        def inc(self, name: str, value: float = 1, **labels: str) -> None:
            if name == EVENTS:
                assert labels["cache"] == "cache:"
                counted[labels["event"]] = counted.get(labels["event"], 0) + value

        def observe(self, name: str, seconds: float, **labels: str) -> None:
            pass

    cache = a_cache(fleet, coordination_metrics=Metrics())
    computation = Computation(fleet).let_go()
    for _ in range(3):
        await cache.get_or_compute("key", computation.function, 100)
    statistics = await told(cache)
    assert (counted["hits"], counted["misses"], counted["computes"]) == (2, 1, 1)
    assert counted["bytes_read"] == statistics.bytes_read > 0


async def test_a_coroutine_function_in_blocking_code(real_fleet: Fleet) -> None:
    if real_fleet.style == "sync":
        cache = a_cache(real_fleet)

        async def coroutine() -> int:
            return 1

        with pytest.raises(InvalidTypeError, match="use AsyncSharedCache"):
            await cache.get_or_compute("key", coroutine, 1)
        assert await cache.get_or_compute("key", lambda: 1, 1) == 1
    else:
        assert await a_cache(real_fleet).get_or_compute("key", lambda: 1, 1) == 1
