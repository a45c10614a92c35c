"""Caches, and computations that last until the test ends them."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable
from typing import Any, Self, cast

from converge_redis import AsyncSharedCache, CacheStatistics, SharedCache
from tests.support.backends import TIMEOUT, async_until, eventually
from tests.support.fleet import Fleet


class Computation:
    """A slow computation, as a function or a coroutine function; it ends after `finish`.

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
        await async_until(self._may_end.is_set)
        return self._end()

    def finish(self) -> Self:
        """Let it end, also when it has not begun yet."""
        self._may_end.set()
        return self

    async def begun(self) -> None:
        await async_until(lambda: self.calls > 0)


def make_cache(fleet: Fleet, **options: Any) -> AsyncSharedCache:
    return fleet.protocol(SharedCache, AsyncSharedCache, **options)


def start(call: Awaitable[Any]) -> "asyncio.Future[Any]":
    return asyncio.ensure_future(call)


async def statistics_of(cache: AsyncSharedCache) -> CacheStatistics:
    found: Any = cache.statistics()
    return cast("CacheStatistics", await found if inspect.isawaitable(found) else found)


async def until_waiting(cache: AsyncSharedCache) -> None:
    """Wait until a call has found that another one computes, and waits for that."""

    async def has_waited() -> bool:
        return (await statistics_of(cache)).waits > 0

    await eventually(has_waited)


async def until_expired(cache: AsyncSharedCache, key: str) -> None:
    async def is_expired() -> bool:
        return await cache.get(key) is None

    await eventually(is_expired)
