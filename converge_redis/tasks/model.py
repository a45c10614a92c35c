"""The task: what callers submit, and the snapshot that managers return."""

import enum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)

from converge_redis.core.ids import uuid7
from converge_redis.core.topic import Topic
from converge_redis.core.validation import (
    MAX_PRIORITY,
    short_repr,
    validate_id,
    validate_ids,
    validate_integer,
)
from converge_redis.errors import InvalidValueError, TaskFailedError


class TaskState(enum.StrEnum):
    """The states of a task; the last three are terminal (``docs/state-machine.md``)."""

    PENDING = "pending"
    ASSIGNED = "assigned"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether a task in this state is finished."""
        return self in _TERMINAL


_TERMINAL = frozenset({TaskState.COMPLETED, TaskState.FAILED, TaskState.CANCELLED})


def _name(value: Any, info: ValidationInfo) -> str:
    return validate_id(f"task.{info.field_name}", value)


def _optional_name(value: Any, info: ValidationInfo) -> str | None:
    return None if value is None else validate_id(f"task.{info.field_name}", value)


def _topic(value: str | None) -> Topic | None:
    return None if value is None else Topic(value)


def _names(value: Any, info: ValidationInfo) -> list[str]:
    return list(validate_ids(f"task.{info.field_name}", value))


def validate_priority(value: Any) -> int:
    """Validate a priority: an integer within ±2^53."""
    return validate_integer("task.priority", value, -MAX_PRIORITY, MAX_PRIORITY)


class Task(BaseModel):
    """A unit of work.

    A caller sets the fields up to ``priority`` and submits it; the manager sets the fields after that. A task
    that a manager returns is a snapshot: changing it changes nothing in the store. All times are Unix seconds
    of the server's clock.

    Attributes:
        id: The id, up to 512 bytes of any text; by default a UUIDv7, so that ids sort by time of creation.
        objective: The goal, in words.
        inputs: The data that the work needs.
        outputs: The data that the work is expected to produce.
        constraints: Any mapping. These keys are interpreted: ``claim_ttl_sec`` (the lease), ``timeout_sec``
            (the most time in one claim), ``retention_sec`` (how long it is kept once finished), in seconds;
            ``max_retries`` (how many claims may expire before the task fails); ``deadline`` (Unix seconds, or
            ISO 8601 with a time zone). All others are stored unchanged. Set ``retention_sec`` to more than
            the time in which the result is read or a call is repeated: a deleted task is unknown.
        evaluator: The judge of the result; stored, not interpreted.
        pool_id: Only agents of this pool may claim it; None: any agent.
        topic: Only agents with this topic may claim it; None: any agent.
        required_capabilities: Only agents with all of these may claim it.
        priority: Tasks of higher priority are claimed first; an integer within ±2^53.
        state: Its state.
        assigned_to: The agent that holds it, or that finished it.
        result: The reported result, or the reason of a failure.
        claimed_at: When the current or last claim began.
        claim_expires_at: When the lease of the current claim ends; None: never.
        claim_token: The fencing token of the current or last claim; it grows with each claim.
        attempts: The number of claims so far, without those that were released.
        submitted_at: When it was accepted.
        finished_at: When it became terminal.
    """

    model_config = ConfigDict(
        extra="forbid", validate_assignment=True, arbitrary_types_allowed=True, defer_build=True
    )

    id: Annotated[str, BeforeValidator(_name)] = Field(default_factory=uuid7)
    objective: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    constraints: dict[str, Any] = Field(default_factory=dict)
    evaluator: Any = None
    pool_id: Annotated[str | None, BeforeValidator(_optional_name)] = None
    topic: Annotated[str | None, BeforeValidator(_optional_name), AfterValidator(_topic)] = None
    required_capabilities: Annotated[list[str], BeforeValidator(_names)] = Field(default_factory=list)
    priority: Annotated[int, BeforeValidator(validate_priority)] = 0

    state: TaskState = TaskState.PENDING
    assigned_to: str | None = None
    result: Any = None
    claimed_at: float | None = None
    claim_expires_at: float | None = None
    claim_token: int | None = None
    attempts: int = 0
    submitted_at: float | None = None
    finished_at: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether it is completed, failed or cancelled."""
        return self.state.terminal

    def result_or_raise(self) -> Any:
        """Return the result of a completed task.

        Raises:
            TaskFailedError: It failed or was cancelled; ``reason`` holds its `result`.
            InvalidValueError: It is not finished: wait for it first.
        """
        if self.state is TaskState.COMPLETED:
            return self.result
        if not self.is_finished:
            raise InvalidValueError(f"task {self.id!r} has no result yet: it is {self.state}; wait for it")
        why = f": {short_repr(self.result)}" if self.state is TaskState.FAILED else ""
        raise TaskFailedError(
            f"task {self.id!r} was not completed: it is {self.state}{why}", self.id, self.result
        )
