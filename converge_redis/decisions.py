"""Decisions: the names of ``decisions`` in the in-memory interface."""

from converge_redis.executor.decisions import (
    AcceptProposal,
    ClaimTask,
    CreatePool,
    Decision,
    Delegate,
    JoinPool,
    LeavePool,
    Propose,
    RejectProposal,
    ReportTask,
    RevokeDelegation,
    SubmitBid,
    SubmitTask,
    Vote,
)

__all__ = [
    "AcceptProposal",
    "ClaimTask",
    "CreatePool",
    "Decision",
    "Delegate",
    "JoinPool",
    "LeavePool",
    "Propose",
    "RejectProposal",
    "ReportTask",
    "RevokeDelegation",
    "SubmitBid",
    "SubmitTask",
    "Vote",
]
