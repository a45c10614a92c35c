"""Delegation: who may act for whom, in chains that can be checked and cut."""

from converge_redis.delegation import operations as delegating
from converge_redis.delegation.model import Delegation, DelegationType
from converge_redis.store.base import OnAsyncStore, OnStore
from converge_redis.store.methods import averb, verb

__all__ = ["AsyncDelegationProtocol", "Delegation", "DelegationProtocol", "DelegationType"]


class DelegationProtocol(OnStore):
    """The delegations of a fleet, for blocking code; all processes with the same store see the same ones.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    delegate = verb(delegating.delegate)
    revoke = verb(delegating.revoke)
    is_authorized = verb(delegating.is_authorized)
    get_delegation = verb(delegating.get_delegation)
    delegations_of = verb(delegating.delegations_of)
    delegations_to = verb(delegating.delegations_to)


class AsyncDelegationProtocol(OnAsyncStore):
    """The delegations of a fleet, for code on asyncio; see `DelegationProtocol`.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    delegate = averb(delegating.delegate)
    revoke = averb(delegating.revoke)
    is_authorized = averb(delegating.is_authorized)
    get_delegation = averb(delegating.get_delegation)
    delegations_of = averb(delegating.delegations_of)
    delegations_to = averb(delegating.delegations_to)
