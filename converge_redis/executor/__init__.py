"""Executors; the module has the name that it has in the in-memory interface."""

from converge_redis.executor.dispatch import ActionPolicy
from converge_redis.executor.executor import AsyncStandardExecutor, StandardExecutor
from converge_redis.executor.outcomes import DecisionOutcome, OutcomeStatus

__all__ = ["ActionPolicy", "AsyncStandardExecutor", "DecisionOutcome", "OutcomeStatus", "StandardExecutor"]
