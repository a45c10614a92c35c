"""The shared cache: one computation for a whole fleet."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar, cast, overload

from converge_redis.cache import operations as caching
from converge_redis.cache.cached_function import (
    AsyncCachedFunction,
    AsyncDecorator,
    CachedFunction,
    Decorator,
    KeyOf,
    P,
    TagsOf,
)
from converge_redis.cache.operations import DEFAULT_LOCK_TTL, DEFAULT_PREFIX, CacheSpace
from converge_redis.cache.statistics import CacheStatistics, CacheTally
from converge_redis.core.validation import check_id
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import AsyncSpacedStore, SpacedStore, async_store, blocking_store
from converge_redis.store.methods import AsyncFacade, Facade, averb, verb
from converge_redis.store.redis_store import RedisStore

T = TypeVar("T")


class SharedCache(Facade):
    """A cache that all processes with the same store share, for blocking code.

    Its entries are values of the store, under their keys with a prefix; they expire, all of them.

    Args:
        store: Where the values are; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        prefix: What the keys of its values begin with; caches with different prefixes are apart, tags too.
        early: How eagerly an entry is computed again before it ends, by one caller while the others still
            get it: the more, the longer its computation took. 1 is what the paper behind it (XFetch, see
            `docs/cache.md`) recommends; 0: not before it ends.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
        InvalidTypeError, InvalidValueError: A setting is malformed.
    """

    def __init__(
        self,
        store: RedisStore | None = None,
        prefix: str = DEFAULT_PREFIX,
        *,
        early: float = 0.0,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        given = blocking_store(self, store)
        self._tally = CacheTally(check_id("prefix", prefix), coordination_metrics)
        self._space = CacheSpace.of(given.namespace, prefix, early, self._tally)
        self._store: SpacedStore = SpacedStore(given, self._space)
        self._metrics = coordination_metrics

    @property
    def store(self) -> RedisStore:
        """The store that the cache is in."""
        return self._store.store

    _get_or_compute = verb(caching.get_or_compute)
    get = verb(caching.get)
    put = verb(caching.put)
    delete = verb(caching.delete)
    delete_tags = verb(caching.delete_tags)
    clear = verb(caching.clear)
    count = verb(caching.count)

    def get_or_compute(
        self,
        key: str,
        fn: Callable[[], T],
        ttl: float,
        *,
        stale_ttl: float = 0.0,
        tags: Iterable[str] = (),
        lock_ttl: float = DEFAULT_LOCK_TTL,
        on_error: str = "raise",
    ) -> T:
        """Return the value under a key; where there is none, compute it, once for all processes that ask.

        The others wait until they are told that it is there. When the process that computes dies, one other
        takes over within ``lock_ttl``; a computation that takes longer than that keeps its lock.

        Args:
            key: The key.
            fn: Computes the value; called without arguments.
            ttl: Seconds for which it is fresh.
            stale_ttl: Seconds after that for which it is still served while one caller computes it anew: that
                caller waits for it, all others are given the stale value at once.
            tags: Groups that the value belongs to, for `delete_tags`; at most 100.
            lock_ttl: Seconds after which another caller computes when this process has died, at least 0.1.
            on_error: What the caller that computes is given when ``fn`` raises: ``"raise"``, the error;
                ``"stale"``, the stale value if there is one, else the error.

        Returns:
            The value, as `fn` returned it or as it was stored.

        Raises:
            ComputeFailedError: The process that this one waited for has failed.
            InvalidTypeError, InvalidValueError, PayloadTooLargeError: An argument is malformed, ``fn`` asks
                for this key itself, or what was computed cannot be stored.
        """
        copies = self._store.near
        if copies is not None and self._metrics is None and isinstance(key, str):
            copy = caching.near_copy(self._space, copies, key)
            if copy is not None:
                return cast("T", copy.get())
        found = self._get_or_compute(
            key, fn, ttl, stale_ttl=stale_ttl, tags=tags, lock_ttl=lock_ttl, on_error=on_error
        )
        return cast("T", found)

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
                (``"user:{user_id}"``), or a function of the same arguments that returns it. None: made of
                the function's module and name and all its arguments, which have to be what the store takes.
            tags: The tags, or a function of the same arguments that returns them.
            stale_ttl: See `get_or_compute`.
            lock_ttl: See `get_or_compute`.
            on_error: See `get_or_compute`.
        """

        def decorate(function: Callable[P, T]) -> CachedFunction[P, T]:
            options = {"stale_ttl": stale_ttl, "lock_ttl": lock_ttl, "on_error": on_error}
            return CachedFunction(self, function, key, tags, ttl, options)

        return decorate

    def statistics(self) -> CacheStatistics:
        """Return what the cache has done in this process."""
        return self._tally.statistics()


class AsyncSharedCache(AsyncFacade):
    """A cache that all processes with the same store share, for code on asyncio; see `SharedCache`.

    Args:
        store: Where the values are; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        prefix: See `SharedCache`.
        early: See `SharedCache`.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
        InvalidTypeError, InvalidValueError: A setting is malformed.
    """

    def __init__(
        self,
        store: AsyncRedisStore | None = None,
        prefix: str = DEFAULT_PREFIX,
        *,
        early: float = 0.0,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        given = async_store(self, store)
        self._tally = CacheTally(check_id("prefix", prefix), coordination_metrics)
        self._space = CacheSpace.of(given.namespace, prefix, early, self._tally)
        self._store: AsyncSpacedStore = AsyncSpacedStore(given, self._space)
        self._metrics = coordination_metrics

    @property
    def store(self) -> AsyncRedisStore:
        """The store that the cache is in."""
        return self._store.store

    _get_or_compute = averb(caching.get_or_compute)
    get = averb(caching.get)
    put = averb(caching.put)
    delete = averb(caching.delete)
    delete_tags = averb(caching.delete_tags)
    clear = averb(caching.clear)
    count = averb(caching.count)

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

        The others wait until they are told that it is there. When the process that computes dies, one other
        takes over within ``lock_ttl``; a computation that takes longer than that keeps its lock.

        Args:
            key: The key.
            fn: Computes the value; called without arguments, and awaited if it is a coroutine function.
            ttl: Seconds for which it is fresh.
            stale_ttl: Seconds after that for which it is still served while one caller computes it anew: that
                caller waits for it, all others are given the stale value at once.
            tags: Groups that the value belongs to, for `delete_tags`; at most 100.
            lock_ttl: Seconds after which another caller computes when this process has died, at least 0.1.
            on_error: What the caller that computes is given when ``fn`` raises: ``"raise"``, the error;
                ``"stale"``, the stale value if there is one, else the error.

        Returns:
            The value, as `fn` returned it or as it was stored.

        Raises:
            ComputeFailedError: The process that this one waited for has failed.
            InvalidTypeError, InvalidValueError, PayloadTooLargeError: An argument is malformed, ``fn`` asks
                for this key itself, or what was computed cannot be stored.
        """
        copies = self._store.near
        if copies is not None and self._metrics is None and isinstance(key, str):
            copy = caching.near_copy(self._space, copies, key)
            if copy is not None:
                return copy.get()
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
        """Decorate a coroutine function: its results are shared by all processes; see `SharedCache.cached`.

        Args:
            ttl: See `get_or_compute`.
            key: See `SharedCache.cached`.
            tags: See `SharedCache.cached`.
            stale_ttl: See `get_or_compute`.
            lock_ttl: See `get_or_compute`.
            on_error: See `get_or_compute`.
        """

        def decorate(function: Callable[P, Awaitable[T]]) -> AsyncCachedFunction[P, T]:
            options = {"stale_ttl": stale_ttl, "lock_ttl": lock_ttl, "on_error": on_error}
            return AsyncCachedFunction(self, function, key, tags, ttl, options)

        return decorate

    def statistics(self) -> CacheStatistics:
        """Return what the cache has done in this process."""
        return self._tally.statistics()
