"""The Contract Net: agents propose to do a task, one of them is awarded the claim."""

from converge_redis.contract_net import operations as contracting
from converge_redis.contract_net.model import CallForProposals, CallState, ContractProposal
from converge_redis.store.base import OnAsyncStore, OnStore
from converge_redis.store.methods import averb, verb

__all__ = ["AsyncContractNet", "CallForProposals", "CallState", "ContractNet", "ContractProposal"]


class ContractNet(OnStore):
    """The calls for proposals of a fleet, for blocking code; all processes with the same store see the same.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    call = verb(contracting.call)
    propose = verb(contracting.propose)
    refuse = verb(contracting.refuse)
    accept = verb(contracting.accept)
    get_call = verb(contracting.get_call)
    calls_for = verb(contracting.calls_for)
    wait_for_call = verb(contracting.wait_for_call)
    wait_for_replies = verb(contracting.wait_for_replies)
    wait_for_award = verb(contracting.wait_for_award)


class AsyncContractNet(OnAsyncStore):
    """The calls for proposals of a fleet, for code on asyncio; see `ContractNet`.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    call = averb(contracting.call)
    propose = averb(contracting.propose)
    refuse = averb(contracting.refuse)
    accept = averb(contracting.accept)
    get_call = averb(contracting.get_call)
    calls_for = averb(contracting.calls_for)
    wait_for_call = averb(contracting.wait_for_call)
    wait_for_replies = averb(contracting.wait_for_replies)
    wait_for_award = averb(contracting.wait_for_award)
