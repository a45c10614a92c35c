"""Pool management: the pools of a fleet, who is in them, and who may join."""

from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.pools import audit as pool_auditing
from converge_redis.pools import operations as pools
from converge_redis.pools.admission import Policies, PoolSpace, TrustProvider
from converge_redis.pools.model import AdmissionPolicy
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import AsyncSpacedStore, SpacedStore, async_store, blocking_store
from converge_redis.store.methods import AsyncFacade, Facade, averb, near_averb, near_verb, verb
from converge_redis.store.redis_store import RedisStore


class _AsksPolicies:
    """What both managers do in this process only."""

    _policies: Policies

    def use_policy(self, name: str, policy: AdmissionPolicy) -> None:
        """Register a Python object that decides who may join the pools that name it.

        It stays in this manager and is never stored: each process that joins such pools registers its own.

        Args:
            name: The name that the pools hold: that of `CustomAdmission`, or of the object that the pool was
                created with (its attribute ``name``, else the name of its class).
            policy: An object with ``can_admit(agent_id, pool) -> bool``, a plain function; with
                ``get_trust(agent_id) -> float`` too, it also answers for the pool's ``trust_threshold``.

        Raises:
            InvalidTypeError, InvalidValueError: The name is malformed, or the object lacks the function.
        """
        self._policies.use(name, policy)

    def use_trust(self, provider: TrustProvider) -> None:
        """Register who tells how far agents are trusted, for pools with a ``trust_threshold``.

        Args:
            provider: An object with ``get_trust(agent_id) -> float``, a plain function.

        Raises:
            InvalidTypeError: The object lacks the function.
        """
        self._policies.use_trust(provider)


class PoolManager(_AsksPolicies, Facade):
    """The pools of a fleet, for blocking code; all processes with the same store see the same pools.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    def __init__(
        self,
        store: RedisStore | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        self._policies = Policies()
        given = blocking_store(self, store)
        self._store: SpacedStore = SpacedStore(given, PoolSpace.of(given.namespace, self._policies))
        self._metrics = coordination_metrics

    @property
    def store(self) -> RedisStore:
        """The store that the manager works on."""
        return self._store.store

    create_pool = verb(pools.create_pool)
    join_pool = verb(pools.join_pool)
    leave_pool = verb(pools.leave_pool)
    get_pool = near_verb(pools.get_pool)
    get_pools_for_agent = near_verb(pools.get_pools_for_agent)
    list_pools = verb(pools.list_pools)
    delete_pool = verb(pools.delete_pool)
    audit = verb(pool_auditing.audit)


class AsyncPoolManager(_AsksPolicies, AsyncFacade):
    """The pools of a fleet, for code on asyncio; see `PoolManager`.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    def __init__(
        self,
        store: AsyncRedisStore | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        self._policies = Policies()
        given = async_store(self, store)
        self._store: AsyncSpacedStore = AsyncSpacedStore(given, PoolSpace.of(given.namespace, self._policies))
        self._metrics = coordination_metrics

    @property
    def store(self) -> AsyncRedisStore:
        """The store that the manager works on; close one that was not given with ``await store.aclose()``."""
        return self._store.store

    create_pool = averb(pools.create_pool)
    join_pool = averb(pools.join_pool)
    leave_pool = averb(pools.leave_pool)
    get_pool = near_averb(pools.get_pool)
    get_pools_for_agent = near_averb(pools.get_pools_for_agent)
    list_pools = averb(pools.list_pools)
    delete_pool = averb(pools.delete_pool)
    audit = averb(pool_auditing.audit)
