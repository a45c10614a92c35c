"""Bases of the managers and protocols: an object that works on a store, and reports measurements."""

from typing import Any

from converge_redis.errors import ConfigurationError
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.default import default_async_store, default_store
from converge_redis.store.methods import Asynchronous, Blocking
from converge_redis.store.redis_store import RedisStore


class _OnStore:
    """What blocking and asynchronous objects on a store have in common."""

    _store: Any
    _metrics: CoordinationMetrics | None

    def _attach(self, store: Any, metrics: CoordinationMetrics | None) -> None:
        self._store = store
        self._metrics = metrics
        self._target = store._namespace

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._store!r})"


class Manager(_OnStore, Blocking):
    """An object that works on a store, for blocking code.

    Args:
        store: Where the state is; None: `default_store`, on ``CONVERGE_REDIS_URL`` or else this process's
            embedded server.
        coordination_metrics: Where to report measurements; see `CoordinationMetrics`.

    Raises:
        ConfigurationError: No store is given, and there is no default one.
    """

    def __init__(
        self, store: RedisStore | None = None, coordination_metrics: CoordinationMetrics | None = None
    ) -> None:
        self._attach(blocking_store(self, store), coordination_metrics)

    @property
    def store(self) -> RedisStore:
        """The store that it works on."""
        store: RedisStore = self._store
        return store


class AsyncManager(_OnStore, Asynchronous):
    """An object that works on a store, for code on asyncio.

    Args:
        store: Where the state is; None: `default_async_store`, on ``CONVERGE_REDIS_URL`` or else this
            process's embedded server.
        coordination_metrics: Where to report measurements; see `CoordinationMetrics`.

    Raises:
        ConfigurationError: No store is given, and there is no default one.
    """

    def __init__(
        self, store: AsyncRedisStore | None = None, coordination_metrics: CoordinationMetrics | None = None
    ) -> None:
        self._attach(async_store(self, store), coordination_metrics)

    @property
    def store(self) -> AsyncRedisStore:
        """The store that it works on."""
        store: AsyncRedisStore = self._store
        return store


def blocking_store(caller: object, store: RedisStore | None) -> RedisStore:
    """Return the given store, else the default one of this process.

    Raises:
        ConfigurationError: It is of another type, or none is given and there is no default one.
    """
    if store is not None and not isinstance(store, RedisStore):
        raise ConfigurationError(f"{type(caller).__name__} needs a RedisStore, not {type(store).__name__}")
    return store or default_store()


def async_store(caller: object, store: AsyncRedisStore | None) -> AsyncRedisStore:
    """Return the given store for asyncio, else the default one of this process; see `blocking_store`."""
    if store is not None and not isinstance(store, AsyncRedisStore):
        raise ConfigurationError(
            f"{type(caller).__name__} needs an AsyncRedisStore, not {type(store).__name__}"
        )
    return store or default_async_store()
