"""The shared caches: one computation of a value for a whole fleet."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar, overload

from converge_redis.cache import get_or_compute as compute_ops
from converge_redis.cache import operations
from converge_redis.cache.cached_function import (
    AsyncCachedFunction,
    AsyncDecorator,
    CachedFunction,
    Decorator,
    KeyOf,
    P,
    TagsOf,
)
from converge_redis.cache.entries import DEFAULT_PREFIX, CacheContext, find_near
from converge_redis.cache.get_or_compute import DEFAULT_LOCK_TTL
from converge_redis.cache.statistics import CacheCounters, CacheStatistics
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import async_store, blocking_store
from converge_redis.store.methods import (
    Asynchronous,
    Blocking,
    async_method,
    async_near_cached_method,
    method,
    near_cached_method,
)
from converge_redis.store.redis_store import RedisStore

S = TypeVar("S", bound=Any)
T = TypeVar("T")


class _Cache(ABC, Generic[S]):
    """What `SharedCache` and `AsyncSharedCache` have in common."""

    def __init__(
        self,
        store: S | None = None,
        prefix: str = DEFAULT_PREFIX,
        *,
        early: float = 0.0,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        """Make a cache on a store; its entries are values of the store, and all of them expire.

        Args:
            store: Where the values are; None: the default store.
            prefix: The prefix of its keys; caches with different prefixes are separate, their tags too.
            early: How eagerly an entry is computed again before it expires, by one caller, while the others
                still get it: the earlier, the longer its computation took. It is the beta of XFetch
                (``docs/cache.md``), where 1 is recommended; 0: not before it expires.
            coordination_metrics: Where to report measurements; see `CoordinationMetrics`.

        Raises:
            ConfigurationError: No store is given, and there is no default one.
            InvalidTypeError, InvalidValueError: A setting is malformed.
        """
        self._store: Any = self._validated_store(store)
        self._metrics = coordination_metrics
        counters = CacheCounters(prefix, coordination_metrics)
        self._target = CacheContext(self._store._namespace, prefix, early, counters)

    @abstractmethod
    def _validated_store(self, store: S | None) -> S:
        """Return the given store, or the default one."""

    @property
    def store(self) -> S:
        """The store that holds the values."""
        store: S = self._store
        return store

    def statistics(self) -> CacheStatistics:
        """Return the counters of the cache in this process."""
        return self._target.counters.statistics()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r}, prefix={self._target.prefix!r})"


class SharedCache(_Cache[RedisStore], Blocking):
    """A cache that all processes with the same namespace share, for blocking code."""

    def _validated_store(self, store: RedisStore | None) -> RedisStore:
        return blocking_store(self, store)

    get = near_cached_method(operations.get, operations.get_near, find_near)
    get_or_compute = near_cached_method(
        compute_ops.get_or_compute, compute_ops.get_or_compute_near, find_near
    )
    put = method(operations.put)
    delete = method(operations.delete)
    delete_tags = method(operations.delete_tags)
    clear = method(operations.clear)
    count = method(operations.count)

    def cached(
        self,
        *,
        ttl: float,
        key: KeyOf | None = None,
        tags: TagsOf = (),
        stale_ttl: float = 0.0,
        lock_ttl: float = DEFAULT_LOCK_TTL,
        on_error: str = "raise",
    ) -> Decorator:
        """Decorate a function: its results are shared by all processes.

        Args:
            ttl: See `get_or_compute`.
            key: The key, as a format string with the names of the function's arguments
                (``"user:{user_id}"``), or a function of the same arguments that returns it. None: made of the
                module and name of the function and all its arguments, which must be of types that the store
                accepts.
            tags: The tags, or a function of the same arguments that returns them.
            stale_ttl: See `get_or_compute`.
            lock_ttl: See `get_or_compute`.
            on_error: See `get_or_compute`.
        """

        def decorate(function: Callable[P, T]) -> CachedFunction[P, T]:
            options = {"stale_ttl": stale_ttl, "lock_ttl": lock_ttl, "on_error": on_error}
            return CachedFunction(self, function, key, tags, ttl, options)

        return decorate


class AsyncSharedCache(_Cache[AsyncRedisStore], Asynchronous):
    """A cache that all processes with the same namespace share, for code on asyncio; see `SharedCache`."""

    def _validated_store(self, store: AsyncRedisStore | None) -> AsyncRedisStore:
        return async_store(self, store)

    get = async_near_cached_method(operations.get, operations.get_near, find_near)
    _get_or_compute = async_near_cached_method(
        compute_ops.get_or_compute, compute_ops.get_or_compute_near, find_near
    )
    put = async_method(operations.put)
    delete = async_method(operations.delete)
    delete_tags = async_method(operations.delete_tags)
    clear = async_method(operations.clear)
    count = async_method(operations.count)

    @overload
    async def get_or_compute(
        self,
        key: str,
        fn: Callable[[], Awaitable[T]],
        ttl: float,
        *,
        stale_ttl: float = ...,
        tags: Iterable[str] = ...,
        lock_ttl: float = ...,
        on_error: str = ...,
    ) -> T: ...

    @overload
    async def get_or_compute(
        self,
        key: str,
        fn: Callable[[], T],
        ttl: float,
        *,
        stale_ttl: float = ...,
        tags: Iterable[str] = ...,
        lock_ttl: float = ...,
        on_error: str = ...,
    ) -> T: ...

    async def get_or_compute(
        self,
        key: str,
        fn: Callable[[], Any],
        ttl: float,
        *,
        stale_ttl: float = 0.0,
        tags: Iterable[str] = (),
        lock_ttl: float = DEFAULT_LOCK_TTL,
        on_error: str = "raise",
    ) -> Any:
        """Return the value under a key; where there is none, compute it, once for all processes that ask.

        See `SharedCache.get_or_compute`; ``fn`` may be a plain function or a coroutine function.
        """
        return await self._get_or_compute(
            key, fn, ttl, stale_ttl=stale_ttl, tags=tags, lock_ttl=lock_ttl, on_error=on_error
        )

    def cached(
        self,
        *,
        ttl: float,
        key: KeyOf | None = None,
        tags: TagsOf = (),
        stale_ttl: float = 0.0,
        lock_ttl: float = DEFAULT_LOCK_TTL,
        on_error: str = "raise",
    ) -> AsyncDecorator:
        """Decorate a coroutine function: all processes share its results; see `SharedCache.cached`."""

        def decorate(function: Callable[P, Awaitable[T]]) -> AsyncCachedFunction[P, T]:
            options = {"stale_ttl": stale_ttl, "lock_ttl": lock_ttl, "on_error": on_error}
            return AsyncCachedFunction(self, function, key, tags, ttl, options)

        return decorate
