"""The negotiation protocols: agents propose, counter, accept and reject, until they agree or stop."""

from converge_redis.negotiation import operations, query
from converge_redis.store.base import AsyncManager, Manager
from converge_redis.store.methods import async_method, method


class NegotiationProtocol(Manager):
    """The negotiations of a fleet, for blocking code."""

    create_session = method(operations.create_session)
    propose = method(operations.propose)
    accept = method(operations.accept)
    reject = method(operations.reject)
    close = method(operations.close)
    get_session = method(query.get_session)
    list_sessions = method(query.list_sessions)
    wait_for_update = method(query.wait_for_update)


class AsyncNegotiationProtocol(AsyncManager):
    """The negotiations of a fleet, for code on asyncio; see `NegotiationProtocol`."""

    create_session = async_method(operations.create_session)
    propose = async_method(operations.propose)
    accept = async_method(operations.accept)
    reject = async_method(operations.reject)
    close = async_method(operations.close)
    get_session = async_method(query.get_session)
    list_sessions = async_method(query.list_sessions)
    wait_for_update = async_method(query.wait_for_update)
