"""The Contract Net protocols: agents propose to do a task, and one of them is awarded the claim."""

from converge_redis.contract_net import operations, query
from converge_redis.store.base import AsyncManager, Manager
from converge_redis.store.methods import async_method, method


class ContractNet(Manager):
    """The calls for proposals of a fleet, for blocking code."""

    call = method(operations.call)
    propose = method(operations.propose)
    refuse = method(operations.refuse)
    accept = method(operations.accept)
    get_call = method(query.get_call)
    list_calls = method(query.list_calls)
    wait_for_call = method(query.wait_for_call)
    wait_for_replies = method(query.wait_for_replies)
    wait_for_award = method(query.wait_for_award)


class AsyncContractNet(AsyncManager):
    """The calls for proposals of a fleet, for code on asyncio; see `ContractNet`."""

    call = async_method(operations.call)
    propose = async_method(operations.propose)
    refuse = async_method(operations.refuse)
    accept = async_method(operations.accept)
    get_call = async_method(query.get_call)
    list_calls = async_method(query.list_calls)
    wait_for_call = async_method(query.wait_for_call)
    wait_for_replies = async_method(query.wait_for_replies)
    wait_for_award = async_method(query.wait_for_award)
