"""Negotiation: agents propose, counter, accept and reject until they agree or not."""

from converge_redis.negotiation import operations as negotiating
from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
from converge_redis.store.base import OnAsyncStore, OnStore
from converge_redis.store.methods import averb, verb

__all__ = [
    "AsyncNegotiationProtocol",
    "NegotiationProtocol",
    "NegotiationSession",
    "NegotiationState",
    "Proposal",
]


class NegotiationProtocol(OnStore):
    """The negotiations of a fleet, for blocking code; all processes with the same store see the same ones.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    create_session = verb(negotiating.create_session)
    propose = verb(negotiating.propose)
    accept = verb(negotiating.accept)
    reject = verb(negotiating.reject)
    close = verb(negotiating.close)
    get_session = verb(negotiating.get_session)
    sessions_for = verb(negotiating.sessions_for)
    wait_for_update = verb(negotiating.wait_for_update)


class AsyncNegotiationProtocol(OnAsyncStore):
    """The negotiations of a fleet, for code on asyncio; see `NegotiationProtocol`.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
    """

    create_session = averb(negotiating.create_session)
    propose = averb(negotiating.propose)
    accept = averb(negotiating.accept)
    reject = averb(negotiating.reject)
    close = averb(negotiating.close)
    get_session = averb(negotiating.get_session)
    sessions_for = averb(negotiating.sessions_for)
    wait_for_update = averb(negotiating.wait_for_update)
