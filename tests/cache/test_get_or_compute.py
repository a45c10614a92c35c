"""`get_or_compute`: one call computes, all get the result; errors, cancelled and dead computations."""

import asyncio
import time
from typing import Any, cast

import pytest

from converge_redis import (
    AsyncSharedCache,
    ComputeFailedError,
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
)
from converge_redis.cache.entries import CacheContext, CacheRequest, find_or_lock
from converge_redis.cache.statistics import CacheCounters
from tests.cache.computation import (
    Computation,
    make_cache,
    start,
    statistics_of,
    until_expired,
    until_waiting,
)
from tests.support.backends import TIMEOUT, async_until, eventually
from tests.support.fleet import Fleet, first_operation, in_thread


async def test_a_value_is_computed_once_and_then_read(fleet: Fleet) -> None:
    caches = [make_cache(fleet) for _ in range(5)]
    computation = Computation(fleet, {"a": (1, 2)})
    calls = [start(cache.get_or_compute("key", computation.function, 100)) for cache in caches]

    async def all_have_missed() -> bool:
        return sum([(await statistics_of(cache)).misses for cache in caches]) == 5

    await eventually(all_have_missed)
    computation.finish()
    assert await asyncio.gather(*calls) == [{"a": (1, 2)}] * 5
    assert computation.calls == 1
    assert await caches[0].get_or_compute("key", computation.function, 100) == {"a": (1, 2)}
    assert await caches[1].get("key") == {"a": (1, 2)}
    assert computation.calls == 1
    statistics = [await statistics_of(cache) for cache in caches]
    assert sum(each.computes for each in statistics) == 1
    assert sum(each.misses for each in statistics) == 5
    assert sum(each.hits for each in statistics) == 2
    assert sum(each.bytes_written for each in statistics) > 0


@pytest.mark.parametrize("value", [None, False, 0, "", b"", (), {"deep": [{1, 2}]}])
async def test_any_value_is_cached(fleet: Fleet, value: Any) -> None:
    cache = make_cache(fleet)
    computation = Computation(fleet, value).finish()
    for _ in range(3):
        assert await cache.get_or_compute("key", computation.function, 100) == value
    assert computation.calls == 1
    assert await cache.get("key", "default") == value
    assert await cache.get("other", "default") == "default"


async def test_an_expired_value_is_computed_again(fleet: Fleet) -> None:
    cache = make_cache(fleet)
    first, second = Computation(fleet, 1).finish(), Computation(fleet, 2).finish()
    assert await cache.get_or_compute("key", first.function, 0.05) == 1
    await until_expired(cache, "key")
    assert await cache.get_or_compute("key", second.function, 100) == 2


async def test_waiting_calls_raise_the_error_of_the_computation(fleet: Fleet) -> None:
    cache, other = make_cache(fleet), make_cache(fleet)
    failing = Computation(fleet, error=KeyError("no such thing"))
    computing = start(cache.get_or_compute("key", failing.function, 100))
    await failing.begun()
    waiting = start(other.get_or_compute("key", failing.function, 100))
    await until_waiting(other)
    failing.finish()
    with pytest.raises(KeyError):
        await computing
    with pytest.raises(ComputeFailedError, match=r"'cache:key'.*KeyError: 'no such thing'") as raised:
        await waiting
    assert raised.value.reason == "KeyError: 'no such thing'"
    assert (await statistics_of(cache)).failures == 1
    later = Computation(fleet, "right").finish()
    assert await other.get_or_compute("key", later.function, 100) == "right"


@pytest.mark.parametrize("fleet", ["async"], indirect=True)  # a blocking call cannot be cancelled
async def test_a_waiting_call_computes_after_the_computation_was_cancelled(fleet: Fleet) -> None:
    cache, other, third = make_cache(fleet), make_cache(fleet), make_cache(fleet)
    endless, right = Computation(fleet), Computation(fleet, "right").finish()
    computing = start(cache.get_or_compute("key", endless.function, 100, lock_ttl=1000))
    await endless.begun()
    waiting = start(other.get_or_compute("key", right.function, 100, lock_ttl=1000))
    waiting_too = start(third.get_or_compute("key", endless.function, 100, lock_ttl=1000))
    await until_waiting(other)
    await until_waiting(third)
    waiting_too.cancel()
    computing.cancel()
    assert await asyncio.wait_for(waiting, TIMEOUT) == "right"
    assert right.calls == 1


async def until_renewed(fleet: Fleet, lock: str) -> None:
    """Wait until the TTL of a lock rises."""
    left: Any = fleet.raw.pttl(lock)

    def has_risen() -> bool:
        nonlocal left
        before, left = left, fleet.raw.pttl(lock)
        return bool(left > before)

    await async_until(has_risen)


async def test_a_long_computation_keeps_its_lock(fleet: Fleet) -> None:
    cache, other = make_cache(fleet), make_cache(fleet)
    computation = Computation(fleet)
    computing = start(cache.get_or_compute("key", computation.function, 100, lock_ttl=2))
    await computation.begun()
    waiting = start(other.get_or_compute("key", computation.function, 100, lock_ttl=2))
    lock = fleet.namespaces["test"].keys.value_names()["lock:"] + "cache:key"
    for _ in range(2):
        await until_renewed(fleet, lock)
    assert computation.calls == 1
    computation.finish()
    assert [await computing, await waiting] == ["computed"] * 2


async def test_another_call_computes_when_the_lock_of_a_dead_process_expires(fleet: Fleet) -> None:
    cache, context = (
        make_cache(fleet),
        CacheContext(fleet.namespaces["test"], "cache:", 0.0, CacheCounters("cache:", None)),
    )
    began = time.monotonic()
    lock = first_operation(find_or_lock(context, CacheRequest("cache:key", "dead process", 300)))
    assert (await fleet.run(cast("Any", cache), lock)).word == b"COMPUTE"
    computation = Computation(fleet, "taken over").finish()
    assert await cache.get_or_compute("key", computation.function, 100) == "taken over"
    assert 0.29 < time.monotonic() - began < TIMEOUT
    unused = Computation(fleet)
    assert await cache.get_or_compute("key", unused.function, 100) == "taken over"


@pytest.mark.parametrize("change", ["delete", "put", "delete_tags", "clear"])
async def test_a_result_that_is_outdated_at_its_end_is_not_stored(fleet: Fleet, change: str) -> None:
    cache, other = make_cache(fleet), make_cache(fleet)
    computation, later = Computation(fleet, "old"), Computation(fleet, "later").finish()
    await cache.put("other", 1, 100, tags=["group"])
    computing = start(cache.get_or_compute("key", computation.function, 100, tags=["group"]))
    await computation.begun()
    match change:
        case "delete":
            await other.delete("key")
        case "put":
            await other.put("key", "put", 100)
        case "delete_tags":
            await other.delete_tags(["group", "unknown"])
        case _:
            await other.clear()
    computation.finish()
    assert await computing == "old"  # the call began before the change
    expected = {"put": "put"}.get(change, "later")
    if change == "clear":  # a value that is not stored yet need not be cleared
        expected = await other.get("key", "later")
    assert await other.get_or_compute("key", later.function, 100, tags=["group"]) == expected


@pytest.mark.parametrize(
    ("call", "error", "message"),
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
async def test_a_refused_call_stores_nothing_and_leaves_no_lock(
    fleet: Fleet, call: Any, error: type[Exception], message: str
) -> None:
    cache = make_cache(fleet)
    with pytest.raises(error) as raised:
        await call(cache)
    assert message in str(raised.value)
    assert await cache.count() == 0
    right = Computation(fleet).finish()
    assert await cache.get_or_compute("k", right.function, 100) == "computed"


class NestedComputations:
    """Computations that call `get_or_compute` of the same cache."""

    def __init__(self, fleet: Fleet) -> None:
        self.cache = make_cache(fleet)
        self.inner_calls = 0
        self._is_blocking = fleet.style == "sync"
        self._plain: Any = cast("Any", self.cache)._blocking if self._is_blocking else self.cache

    async def get_or_compute(self, key: str, blocking: Any, on_asyncio: Any) -> Any:
        if self._is_blocking:
            return await in_thread(self._plain.get_or_compute, key, blocking, 100)
        return await self._plain.get_or_compute(key, on_asyncio, 100)

    def inner(self) -> int:
        self.inner_calls += 1
        return 1

    async def inner_async(self) -> int:
        return self.inner()

    def outer(self) -> Any:
        return self._plain.get_or_compute("inner", self.inner, 100) + 1

    async def outer_async(self) -> Any:
        return await self._plain.get_or_compute("inner", self.inner_async, 100) + 1

    def recursive(self) -> Any:
        return self._plain.get_or_compute("recursive", self.recursive, 100)

    async def recursive_async(self) -> Any:
        return await self._plain.get_or_compute("recursive", self.recursive_async, 100)


async def test_a_computation_may_need_another_one_but_not_itself(fleet: Fleet) -> None:
    nested = NestedComputations(fleet)
    assert await nested.get_or_compute("outer", nested.outer, nested.outer_async) == 2
    assert await nested.cache.get("inner") == 1
    with pytest.raises(InvalidValueError, match="'recursive' is asked for by its own computation"):
        await nested.get_or_compute("recursive", nested.recursive, nested.recursive_async)
    right = Computation(fleet).finish()
    assert await nested.cache.get_or_compute("recursive", right.function, 100) == "computed"
    assert nested.inner_calls == 1


async def test_only_asyncio_caches_accept_coroutine_functions(real_fleet: Fleet) -> None:
    cache: AsyncSharedCache = make_cache(real_fleet)
    if real_fleet.style == "sync":

        async def coroutine() -> int:
            return 1

        with pytest.raises(InvalidTypeError, match="use AsyncSharedCache"):
            await cache.get_or_compute("key", coroutine, 1)
    assert await cache.get_or_compute("key", lambda: 1, 1) == 1
