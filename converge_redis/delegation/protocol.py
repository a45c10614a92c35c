"""The delegation protocols: agents act for other agents, in chains that are checked and can be revoked."""

from converge_redis.delegation import operations
from converge_redis.store.base import AsyncManager, Manager
from converge_redis.store.methods import async_method, method


class DelegationProtocol(Manager):
    """The delegations of a fleet, for blocking code."""

    delegate = method(operations.delegate)
    revoke = method(operations.revoke)
    is_authorized = method(operations.is_authorized)
    get_delegation = method(operations.get_delegation)
    list_delegations = method(operations.list_delegations)


class AsyncDelegationProtocol(AsyncManager):
    """The delegations of a fleet, for code on asyncio; see `DelegationProtocol`."""

    delegate = async_method(operations.delegate)
    revoke = async_method(operations.revoke)
    is_authorized = async_method(operations.is_authorized)
    get_delegation = async_method(operations.get_delegation)
    list_delegations = async_method(operations.list_delegations)
