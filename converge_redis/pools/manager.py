"""The pool managers: the pools of a fleet, their members, and which agents may join."""

from typing import Any

from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.pools import audit as audit_ops
from converge_redis.pools import operations
from converge_redis.pools.admission import PolicyRegistry, PoolContext, TrustProvider
from converge_redis.pools.model import AdmissionPolicy
from converge_redis.store.base import AsyncManager, Manager
from converge_redis.store.methods import (
    async_method,
    async_near_cached_method,
    method,
    near_cached_method,
)


class _PolicyRegistration:
    """The part of both managers that concerns this process only."""

    _target: PoolContext

    def use_policy(self, name: str, policy: AdmissionPolicy) -> None:
        """Register a Python object that decides which agents may join the pools with this policy name.

        It stays in this manager and is never stored: each process that joins such pools registers its own.

        Args:
            name: The name in the pools' specifications: that of `CustomAdmission`, or of the object with
                which the pool was created (its attribute ``name``, else the name of its class).
            policy: An object with ``can_admit(agent_id, pool) -> bool``, a plain function. If it also has
                ``get_trust(agent_id) -> float``, it is the trust provider of these pools too.

        Raises:
            InvalidTypeError, InvalidValueError: The name is malformed, or the object lacks the function.
        """
        self._target.policies.register(name, policy)

    def use_trust(self, provider: TrustProvider) -> None:
        """Register the trust provider, for pools with a ``trust_threshold``.

        Args:
            provider: An object with ``get_trust(agent_id) -> float``, a plain function.

        Raises:
            InvalidTypeError: The object lacks the function.
        """
        self._target.policies.register_trust(provider)

    def _attach(self, store: Any, metrics: CoordinationMetrics | None) -> None:
        super()._attach(store, metrics)  # type: ignore[misc] # the other base's
        self._target = PoolContext(store._namespace, PolicyRegistry())


class PoolManager(_PolicyRegistration, Manager):
    """The pools of a fleet, for blocking code; all processes with the same namespace see the same pools."""

    create_pool = method(operations.create_pool)
    join_pool = method(operations.join_pool)
    leave_pool = method(operations.leave_pool)
    get_pool = near_cached_method(operations.get_pool, operations.get_pool_near)
    get_pools_for_agent = near_cached_method(
        operations.get_pools_for_agent, operations.get_pools_for_agent_near
    )
    list_pools = method(operations.list_pools)
    delete_pool = method(operations.delete_pool)
    audit = method(audit_ops.audit)


class AsyncPoolManager(_PolicyRegistration, AsyncManager):
    """The pools of a fleet, for code on asyncio; see `PoolManager`."""

    create_pool = async_method(operations.create_pool)
    join_pool = async_method(operations.join_pool)
    leave_pool = async_method(operations.leave_pool)
    get_pool = async_near_cached_method(operations.get_pool, operations.get_pool_near)
    get_pools_for_agent = async_near_cached_method(
        operations.get_pools_for_agent, operations.get_pools_for_agent_near
    )
    list_pools = async_method(operations.list_pools)
    delete_pool = async_method(operations.delete_pool)
    audit = async_method(audit_ops.audit)
