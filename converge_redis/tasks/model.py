"""The task: what is submitted, and the snapshot of it that managers return."""

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
from converge_redis.core.validation import MAX_PRIORITY, check_id, check_ids, check_integer


class TaskState(enum.StrEnum):
    """The states of a task; the last three are terminal. See ``docs/state-machine.md``."""

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


class Topic(str):
    """The name of a subject that routes a task; a plain string serves as well."""

    __slots__ = ()


def _name(value: Any, info: ValidationInfo) -> str:
    return check_id(f"task.{info.field_name}", value)


def _optional_name(value: Any, info: ValidationInfo) -> str | None:
    return None if value is None else check_id(f"task.{info.field_name}", value)


def _topic(value: str | None) -> Topic | None:
    return None if value is None else Topic(value)


def _names(value: Any, info: ValidationInfo) -> list[str]:
    return list(check_ids(f"task.{info.field_name}", value))


def check_priority(value: Any) -> int:
    """Check a priority: an integer within ±2^53."""
    return check_integer("task.priority", value, -MAX_PRIORITY, MAX_PRIORITY)


class Task(BaseModel):
    """A unit of work.

    Set what is to be done and who may do it, and submit it; the fields below ``priority`` are the manager's.
    A task that a manager returns is a snapshot: changing it changes nothing in the store.

    Attributes:
        id: The id, up to 512 bytes of any text; by default a UUIDv7, so that ids order by time of creation.
        objective: What is to be achieved, in words.
        inputs: What the work needs.
        outputs: What the work is expected to give.
        constraints: Free, but for the names that count: ``claim_ttl_sec``, ``timeout_sec`` and
            ``retention_sec`` (seconds), ``max_retries`` (claims that may expire before the task fails), and
            ``deadline`` (Unix seconds, or ISO 8601 with a time zone). Keep finished tasks
            (``retention_sec``) for longer than those who wait for the result, or repeat a call, may take:
            what is deleted is unknown.
        evaluator: Who or what judges the result; stored, not interpreted.
        pool_id: Only agents of this pool may claim it; None: any.
        topic: Only agents with this topic may claim it; None: any.
        required_capabilities: Only agents with all of these may claim it.
        priority: Higher goes first; an integer within ±2^53.
        state: Where it stands.
        assigned_to: The agent that holds it, or finished it.
        result: What was reported, or the reason of a failure.
        claimed_at: When the present or last claim began (server time, Unix seconds).
        claim_expires_at: When the present claim's lease ends (server time, Unix seconds); None: never.
        claim_token: The fence of the present or last claim: it only grows, claim by claim.
        attempts: The number of claims so far, less those given back.
        submitted_at: When it was accepted (server time, Unix seconds).
        finished_at: When it became terminal (server time, Unix seconds).
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, arbitrary_types_allowed=True)

    id: Annotated[str, BeforeValidator(_name)] = Field(default_factory=uuid7)
    objective: str = ""
    inputs: dict[str, Any] = Field(default_factory=dict)
    outputs: dict[str, Any] = Field(default_factory=dict)
    constraints: dict[str, Any] = Field(default_factory=dict)
    evaluator: Any = None
    pool_id: Annotated[str | None, BeforeValidator(_optional_name)] = None
    topic: Annotated[str | None, BeforeValidator(_optional_name), AfterValidator(_topic)] = None
    required_capabilities: Annotated[list[str], BeforeValidator(_names)] = Field(default_factory=list)
    priority: Annotated[int, BeforeValidator(check_priority)] = 0

    state: TaskState = TaskState.PENDING
    assigned_to: str | None = None
    result: Any = None
    claimed_at: float | None = None
    claim_expires_at: float | None = None
    claim_token: int | None = None
    attempts: int = 0
    submitted_at: float | None = None
    finished_at: float | None = None
