"""Delegation; the module has the name that it has in the in-memory interface."""

from converge_redis.delegation.model import Delegation, DelegationType
from converge_redis.delegation.protocol import AsyncDelegationProtocol, DelegationProtocol

__all__ = ["AsyncDelegationProtocol", "Delegation", "DelegationProtocol", "DelegationType"]
