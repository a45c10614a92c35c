"""Executors."""

from converge_redis.executor.executor import (
    ActionPolicy,
    AsyncStandardExecutor,
    DecisionOutcome,
    OutcomeStatus,
    StandardExecutor,
)

__all__ = ["ActionPolicy", "AsyncStandardExecutor", "DecisionOutcome", "OutcomeStatus", "StandardExecutor"]
