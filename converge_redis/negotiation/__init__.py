"""Negotiation; the module has the name that it has in the in-memory interface."""

from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
from converge_redis.negotiation.protocol import AsyncNegotiationProtocol, NegotiationProtocol

__all__ = [
    "AsyncNegotiationProtocol",
    "NegotiationProtocol",
    "NegotiationSession",
    "NegotiationState",
    "Proposal",
]
