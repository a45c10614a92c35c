"""Policies: the names of ``policies`` in the in-memory interface."""

from converge_redis.executor.dispatch import ActionPolicy
from converge_redis.pools.model import (
    AdmissionPolicy,
    CustomAdmission,
    OpenAdmission,
    TokenAdmission,
    WhitelistAdmission,
)

__all__ = [
    "ActionPolicy",
    "AdmissionPolicy",
    "CustomAdmission",
    "OpenAdmission",
    "TokenAdmission",
    "WhitelistAdmission",
]
