"""Delegation; the module has the name that it has in the in-memory interface."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converge_redis.delegation.model import Delegation, DelegationType
    from converge_redis.delegation.protocol import AsyncDelegationProtocol, DelegationProtocol

__all__ = ["AsyncDelegationProtocol", "Delegation", "DelegationProtocol", "DelegationType"]


def __getattr__(name: str) -> object:
    """Load the protocols on first use: the task manager imports only the encoding of scopes from here."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "protocol" if name.endswith("Protocol") else "model"
    return getattr(import_module(f"{__name__}.{module}"), name)
