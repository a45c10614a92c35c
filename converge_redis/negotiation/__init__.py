"""Negotiation."""

from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
from converge_redis.negotiation.protocol import AsyncNegotiationProtocol, NegotiationProtocol

__all__ = [
    "AsyncNegotiationProtocol",
    "NegotiationProtocol",
    "NegotiationSession",
    "NegotiationState",
    "Proposal",
]
