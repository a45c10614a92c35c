"""Outcomes: what an executor returns for each decision."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from converge_redis.errors import RefusedError
from converge_redis.executor.decisions import Decision


class OutcomeStatus(StrEnum):
    """The outcomes of a decision."""

    DONE = "done"
    REFUSED = "refused"
    NOT_ALLOWED = "not_allowed"
    NOT_SUPPORTED = "not_supported"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class DecisionOutcome:
    """The outcome of one decision.

    Attributes:
        decision: The decision.
        status: Done; refused: the rules of the task, pool or session do not allow it now; not allowed by the
            executor's policy; not supported: the executor has neither a manager nor a handler for it; failed:
            by an error.
        result: The return value of the method.
        reason: Why it was not done.
        error: The error behind that, if there is one.
    """

    decision: Decision
    status: OutcomeStatus
    result: Any = None
    reason: str | None = None
    error: Exception | None = field(default=None, compare=False)

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.status is OutcomeStatus.DONE


def success(decision: Decision, result: Any) -> DecisionOutcome:
    """Return the outcome of a decision whose method has returned; False means a refusal."""
    if result is False:
        reason = f"{type(decision).__name__} was refused: its state does not allow it now"
        return DecisionOutcome(decision, OutcomeStatus.REFUSED, result=False, reason=reason)
    return DecisionOutcome(decision, OutcomeStatus.DONE, result=result)


def failure(decision: Decision, error: Exception) -> DecisionOutcome:
    """Return the outcome of a decision whose method has raised an error."""
    status = OutcomeStatus.REFUSED if isinstance(error, RefusedError) else OutcomeStatus.FAILED
    return DecisionOutcome(decision, status, reason=str(error), error=error)
