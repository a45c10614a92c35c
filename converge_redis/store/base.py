"""What the managers and protocols have in common: a store, and where to report measurements."""

from converge_redis.core.namespace import Namespace
from converge_redis.errors import ConfigurationError
from converge_redis.notifications.near_entries import NearCopies
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.methods import AsyncFacade, AsyncRunner, Facade, Runner, T, Work
from converge_redis.store.redis_store import RedisStore, default_store, default_url


def blocking_store(owner: object, store: RedisStore | None) -> RedisStore:
    """Return the store that an object is to work on: the one given, else the process's.

    Raises:
        ConfigurationError: It is none, or none is given and neither of the two ways to find one works.
    """
    if store is not None and not isinstance(store, RedisStore):
        raise ConfigurationError(f"{type(owner).__name__} needs a RedisStore, not {type(store).__name__}")
    return store or default_store()


def async_store(owner: object, store: AsyncRedisStore | None) -> AsyncRedisStore:
    """Return the store on asyncio that an object is to work on; see `blocking_store`."""
    if store is not None and not isinstance(store, AsyncRedisStore):
        raise ConfigurationError(
            f"{type(owner).__name__} needs an AsyncRedisStore, not {type(store).__name__}"
        )
    return store or AsyncRedisStore.from_url(default_url())


class SpacedStore(Runner):
    """A store whose verbs find something more in their namespace: what one manager or protocol is about."""

    def __init__(self, store: RedisStore, space: Namespace) -> None:
        self.namespace = space
        self.store = store

    @property
    def near(self) -> NearCopies | None:
        """The copies that the store keeps of what was read."""
        return self.store.near

    def run(self, work: Work[T]) -> T:
        """Carry out an operation, or the steps of a verb."""
        return self.store.run(work)

    async def run_in_background(self, work: Work[T]) -> T:
        """Carry it out in the store's background thread."""
        return await self.store.run_in_background(work)


class AsyncSpacedStore(AsyncRunner):
    """The same for a store on asyncio."""

    def __init__(self, store: AsyncRedisStore, space: Namespace) -> None:
        self.namespace = space
        self.store = store

    @property
    def near(self) -> NearCopies | None:
        """The copies that the store keeps of what was read in this event loop."""
        return self.store.near

    async def run(self, work: Work[T]) -> T:
        """Carry out an operation, or the steps of a verb."""
        return await self.store.run(work)


class OnStore(Facade):
    """Base of what works on a store, for blocking code.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    def __init__(
        self, store: RedisStore | None = None, coordination_metrics: CoordinationMetrics | None = None
    ) -> None:
        self._store: RedisStore = blocking_store(self, store)
        self._metrics = coordination_metrics

    @property
    def store(self) -> RedisStore:
        """The store that it works on."""
        return self._store


class OnAsyncStore(AsyncFacade):
    """Base of what works on a store, for code on asyncio; see `OnStore`."""

    def __init__(
        self, store: AsyncRedisStore | None = None, coordination_metrics: CoordinationMetrics | None = None
    ) -> None:
        self._store: AsyncRedisStore = async_store(self, store)
        self._metrics = coordination_metrics

    @property
    def store(self) -> AsyncRedisStore:
        """The store that it works on; close one that was not given with ``await store.aclose()``."""
        return self._store
