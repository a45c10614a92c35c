"""Policies."""

from converge_redis.executor.executor import ActionPolicy
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
