"""Decisions of agents, as values that an executor executes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from converge_redis.delegation.model import DelegationType
from converge_redis.pools.model import PoolSpec
from converge_redis.tasks.model import Task


@dataclass(frozen=True, slots=True)
class Decision:
    """Base of all decisions; derive your own from it, and give the executor a handler for it."""


@dataclass(frozen=True, slots=True)
class SubmitTask(Decision):
    """Submit a task; the result is its id."""

    task: Task


@dataclass(frozen=True, slots=True)
class ClaimTask(Decision):
    """Claim a task that is pending."""

    task_id: str


@dataclass(frozen=True, slots=True)
class ReportTask(Decision):
    """Report the result of a task that the agent has claimed."""

    task_id: str
    result: Any = None


@dataclass(frozen=True, slots=True)
class CreatePool(Decision):
    """Create a pool; the result is the `Pool`."""

    spec: PoolSpec | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class JoinPool(Decision):
    """Join a pool, with a token where the pool requires one."""

    pool_id: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class LeavePool(Decision):
    """Leave a pool."""

    pool_id: str


@dataclass(frozen=True, slots=True)
class SubmitBid(Decision):
    """Bid in an auction."""

    auction_id: str
    amount: float
    content: Any = None


@dataclass(frozen=True, slots=True)
class Vote(Decision):
    """Vote in a ballot."""

    vote_id: str
    option: Any


@dataclass(frozen=True, slots=True)
class Propose(Decision):
    """Make a proposal in a negotiation."""

    session_id: str
    content: Any


@dataclass(frozen=True, slots=True)
class AcceptProposal(Decision):
    """Accept the current proposal of a negotiation, or only the one with an id."""

    session_id: str
    proposal_id: str | None = None


@dataclass(frozen=True, slots=True)
class RejectProposal(Decision):
    """Reject the current proposal of a negotiation, or only the one with an id."""

    session_id: str
    proposal_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delegate(Decision):
    """Let another agent, or the members of a pool, act for the agent; the result is the delegation's id."""

    delegatee_id: str
    scope: str | Iterable[str] | None = None
    delegation_type: str = DelegationType.DIRECT
    parent: str | None = None
    expires_in_sec: float | None = None
    max_depth: int | None = None


@dataclass(frozen=True, slots=True)
class RevokeDelegation(Decision):
    """End a delegation that the agent, or one below it in the chain, made."""

    delegation_id: str
