"""Replies about tasks: tasks from rows, errors from status words."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import ValidationError

from converge_redis.core.codec import decode
from converge_redis.core.operation import Argument
from converge_redis.core.topic import Topic
from converge_redis.core.validation import validate_id, validate_integer
from converge_redis.errors import (
    ClaimLostError,
    ConvergeError,
    NotAuthorizedError,
    StoreReplyError,
    TaskCancelledError,
)
from converge_redis.tasks.model import Task
from converge_redis.tasks.record import RecordHead, decode_record

_log = logging.getLogger("converge_redis")


def decode_task(row: Sequence[Any]) -> Task:
    """Make a task of a reply's row (``tasks/lua/shared/reply.lua``).

    Raises:
        StoreReplyError: The row is not what this package stores.
    """
    try:
        return _decode_task(row)
    except ConvergeError:
        raise
    except Exception as error:  # whatever foreign bytes provoke
        raise StoreReplyError(
            f"task {row[0]!r} is stored in a form that cannot be read: {error!r}"
        ) from error


def _decode_task(row: Sequence[Any]) -> Task:
    task_id = row[0].decode()
    head, spec, result = decode_record(row)
    if spec is None:
        raise StoreReplyError(f"task {task_id!r} has lost its specification: does the server evict keys?")
    token, finished = head.token, head.finished
    claimed = token if head.agent else None
    outcome: Any = None if result is None else decode(result)
    if head.options:
        claimed = int(head.option("claimed") or 0) or claimed
        if failure := head.option("failure"):
            outcome = _failure(failure, head)
    fields = {
        **_DEFAULTS,
        "id": task_id,
        "state": head.state,
        "assigned_to": head.holder,
        "result": outcome,
        "claimed_at": None if claimed is None else claimed / 1e6,
        "claim_expires_at": int(head.lease) / 1e6 if head.lease else None,
        "claim_token": token,
        "attempts": int(head.attempts) if head.attempts else 0,
        "submitted_at": int(head.submitted) / 1e6,
        "finished_at": None if finished is None else finished / 1e6,
    }
    return _make_task(fields, decode(spec))


_DEFAULTS: dict[str, Any] = dict.fromkeys(Task.model_fields)  # in the order of the model's fields
_SPEC_FIELDS: dict[str, tuple[type, Any]] = {
    "objective": (str, str),
    "inputs": (dict, dict),
    "outputs": (dict, dict),
    "constraints": (dict, dict),
    "pool_id": (str, lambda: None),
    "topic": (str, lambda: None),
    "required_capabilities": (list, list),
    "priority": (int, int),
}
"""The fields that were validated at submit: their types, and what makes their defaults."""


def _make_task(fields: dict[str, Any], spec: Any) -> Task:
    """Make a task without validation where the specification has the types that `submit` gives it."""
    is_ours = isinstance(spec, dict)
    if is_ours:
        for name, (kind, default) in _SPEC_FIELDS.items():
            if name in spec:
                is_ours = is_ours and type(spec[name]) is kind
                fields[name] = spec[name]
            else:
                fields[name] = default()
        fields["evaluator"] = spec.get("evaluator")
        is_ours = is_ours and spec.keys() <= fields.keys()
    if not is_ours:
        try:
            return Task(**{**fields, **spec})
        except (ValidationError, TypeError) as error:
            raise StoreReplyError(
                f"task {fields['id']!r} is stored in a form that cannot be read: {error}"
            ) from error
    if fields["topic"] is not None:
        fields["topic"] = Topic(fields["topic"])
    # As pydantic's model_construct, which takes five times as long.
    task = Task.__new__(Task)
    object.__setattr__(task, "__dict__", fields)
    object.__setattr__(task, "__pydantic_fields_set__", set(fields))
    object.__setattr__(task, "__pydantic_extra__", None)
    object.__setattr__(task, "__pydantic_private__", None)
    return task


def decode_message(message: bytes) -> tuple[str, Callable[[], Task | None]]:
    """Decode the row in a message to a listener: each part as its length, a colon and its bytes.

    Returns:
        The task id, and a function that returns the task, or None where the message holds only the id.
    """
    row: list[bytes] = []
    start = 0
    while start < len(message):
        colon = message.index(b":", start)
        end = colon + 1 + int(message[start:colon])
        row.append(message[colon + 1 : end])
        start = end + 1
    if len(row) == 1:
        return row[0].decode(), lambda: None
    return row[0].decode(), partial(decode_task, [part or None for part in row])


def _failure(reason: str, head: RecordHead) -> dict[str, Any]:
    """Return the result of a task that its rules failed: a word, a message, and the claims that expired."""
    lost = filter(None, (head.option("lost") or "").split("\n"))
    expired = [
        {
            "agent_id": claim["agent"],
            "claim_token": int(claim["token"]),
            "claimed_at": int(claim["claimed"]) / 1e6,
            "expired_at": int(claim["lease"]) / 1e6,
        }
        for claim in map(json.loads, lost)
    ]
    messages = {
        "deadline": "the deadline passed before the task was finished",
        "max_retries": (
            f"{head.option('expiries')} claims expired, max_retries allows {head.option('retries')}"
        ),
    }
    return {"reason": reason, "message": messages.get(reason, reason), "expired_claims": expired}


def holder_args(agent_id: str, claim_token: int | None) -> tuple[str, Argument]:
    """Validate and encode the holder of a claim: agent id, and claim token or ``""``."""
    validate_id("agent_id", agent_id)
    if claim_token is None:
        return agent_id, ""
    return agent_id, validate_integer("claim_token", claim_token, 0, 2**53)


@dataclass(frozen=True, slots=True)
class HolderReply:
    """Decodes the reply to a call of a claim's holder: True; False for an unknown task; else raises why not.

    Attributes:
        verb: What the holder tried, for the error.
        accepted: The status word of success.
        agent_id: The agent.
        task_id: The task.
    """

    verb: str
    accepted: bytes
    agent_id: str
    task_id: str

    def __call__(self, reply: Sequence[Any]) -> bool:
        """Decode a reply."""
        if reply[0] == self.accepted:
            return True
        if reply[0] == b"UNKNOWN":
            _log.warning(
                "agent %r cannot %s task %r: there is no such task", self.agent_id, self.verb, self.task_id
            )
            return False
        if reply[0] == b"UNREADABLE":
            raise StoreReplyError(f"task {self.task_id!r} is stored in a form that cannot be read")
        raise refusal_error(self.verb, self.agent_id, self.task_id, reply)


def refusal_error(verb: str, agent_id: str, task_id: str, reply: Sequence[Any]) -> NotAuthorizedError:
    """Return the error for a refusal (``tasks/lua/shared/require_holder.lua``)."""
    word, state, holder, token = (part.decode() for part in reply)
    start = f"agent {agent_id!r} is not authorized to {verb} task {task_id!r}: "
    if word == "CANCELLED":
        message = start + "the task was cancelled; drop the work"
        return TaskCancelledError(message, "cancelled", agent_id, task_id)
    if state in {"assigned", "running"}:
        current = f"agent {holder!r} holds it with claim token {token}"
    elif state == "pending":
        current = "it is pending again"
    else:
        current = f"it is {state}"
    if word == "CLAIM_LOST":
        message = start + f"this claim has expired, was released or was replaced; {current}"
        return ClaimLostError(message, "claim_lost", agent_id, task_id)
    message = start + f"it does not hold the claim; {current}"
    return NotAuthorizedError(message, "not_holder", agent_id, task_id)
