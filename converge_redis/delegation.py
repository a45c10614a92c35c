"""Delegation: who may act for whom, in chains that can be checked and cut."""

from converge_redis.async_store import AsyncRedisStore
from converge_redis.delegation_record import Delegation, DelegationType
from converge_redis.errors import ConfigurationError
from converge_redis.metrics import CoordinationMetrics
from converge_redis.operations import delegating
from converge_redis.store import RedisStore, default_store, default_url
from converge_redis.verbs import AsyncFacade, Facade, averb, verb

__all__ = ["AsyncDelegationProtocol", "Delegation", "DelegationProtocol", "DelegationType"]


class DelegationProtocol(Facade):
    """The delegations of a fleet, for blocking code; all processes with the same store see the same ones.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    def __init__(
        self, store: RedisStore | None = None, coordination_metrics: CoordinationMetrics | None = None
    ) -> None:
        if store is not None and not isinstance(store, RedisStore):
            raise ConfigurationError(f"DelegationProtocol needs a RedisStore, not {type(store).__name__}")
        self._store: RedisStore = store or default_store()
        self._metrics = coordination_metrics

    @property
    def store(self) -> RedisStore:
        """The store that the protocol works on."""
        return self._store

    delegate = verb(delegating.delegate)
    revoke = verb(delegating.revoke)
    is_authorized = verb(delegating.is_authorized)
    get_delegation = verb(delegating.get_delegation)
    delegations_of = verb(delegating.delegations_of)
    delegations_to = verb(delegating.delegations_to)


class AsyncDelegationProtocol(AsyncFacade):
    """The delegations of a fleet, for code on asyncio; see `DelegationProtocol`.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    def __init__(
        self, store: AsyncRedisStore | None = None, coordination_metrics: CoordinationMetrics | None = None
    ) -> None:
        if store is not None and not isinstance(store, AsyncRedisStore):
            raise ConfigurationError(
                f"AsyncDelegationProtocol needs an AsyncRedisStore, not {type(store).__name__}"
            )
        self._store: AsyncRedisStore = store or AsyncRedisStore.from_url(default_url())
        self._metrics = coordination_metrics

    @property
    def store(self) -> AsyncRedisStore:
        """The store that the protocol works on; close one that was not given with ``await store.aclose()``."""
        return self._store

    delegate = averb(delegating.delegate)
    revoke = averb(delegating.revoke)
    is_authorized = averb(delegating.is_authorized)
    get_delegation = averb(delegating.get_delegation)
    delegations_of = averb(delegating.delegations_of)
    delegations_to = averb(delegating.delegations_to)
