"""How replies about tasks are read: tasks from rows, errors from status words."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from pydantic import ValidationError

from converge_redis.core.codec import decode
from converge_redis.errors import (
    ClaimLostError,
    ConvergeError,
    NotAuthorizedError,
    StoreReplyError,
    TaskCancelledError,
)
from converge_redis.tasks.model import Task, TaskState, Topic


def read_task(row: Sequence[Any]) -> Task:
    """Make a task of a reply's row (``tasks/lua/shared/reply.lua``).

    Raises:
        StoreReplyError: It is not what this package stores.
    """
    try:
        return _read_task(row)
    except ConvergeError:
        raise
    except Exception as error:  # whatever the bytes of others provoke
        raise StoreReplyError(
            f"task {row[0]!r} is stored in a form that cannot be read: {error!r}"
        ) from error


def _read_task(row: Sequence[Any]) -> Task:
    task_id = row[0].decode()
    head, spec, result = _split(row)
    if spec is None:
        raise StoreReplyError(f"task {task_id!r} has lost what was submitted: does the server evict keys?")
    state, submitted, _, _, _, agent, token, lease, _, attempts, _, finished, _ = head[: len(_HEAD)]
    rare = _rare(head) if len(head) > len(_HEAD) + 1 else {}
    submitted_at = int(submitted)
    token_at = int(token) if token else None
    finished_at = None
    if finished:  # then these count from the submission
        finished_at = submitted_at + int(finished)
        token_at = None if token_at is None else submitted_at + token_at
    claimed_at = int(rare["claimed"]) if "claimed" in rare else token_at if agent else None
    if "failure" in rare:
        outcome: Any = _failure(task_id, rare)
    else:
        outcome = None if result is None else decode(result)
    fields = {
        **_DEFAULTS,
        "id": task_id,
        "state": _STATES.get(state) or TaskState(state),
        "assigned_to": (unquote(agent) if "%" in agent else agent) if agent else None,
        "result": outcome,
        "claimed_at": None if claimed_at is None else claimed_at / 1e6,
        "claim_expires_at": int(lease) / 1e6 if lease else None,
        "claim_token": token_at,
        "attempts": int(attempts) if attempts else 0,
        "submitted_at": submitted_at / 1e6,
        "finished_at": None if finished_at is None else finished_at / 1e6,
    }
    return _task(fields, decode(spec))


_DEFAULTS: dict[str, Any] = dict.fromkeys(Task.model_fields)  # in the order in which a task has them
_SUBMITTED: dict[str, tuple[type, Any]] = {
    "objective": (str, str),
    "inputs": (dict, dict),
    "outputs": (dict, dict),
    "constraints": (dict, dict),
    "pool_id": (str, lambda: None),
    "topic": (str, lambda: None),
    "required_capabilities": (list, list),
    "priority": (int, int),
}
"""The fields that were validated when they were submitted: their types, and what makes their defaults."""


def _task(fields: dict[str, Any], submitted: Any) -> Task:
    """Make a task without validating again what has the types that `submit` gives it; else validate."""
    is_ours = isinstance(submitted, dict)
    if is_ours:
        for name, (kind, default) in _SUBMITTED.items():
            if name in submitted:
                is_ours = is_ours and type(submitted[name]) is kind
                fields[name] = submitted[name]
            else:
                fields[name] = default()
        fields["evaluator"] = submitted.get("evaluator")
        is_ours = is_ours and submitted.keys() <= fields.keys()
    if not is_ours:
        try:
            return Task(**{**fields, **submitted})
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


def read_told_task(message: bytes) -> tuple[str, Callable[[], Task | None]]:
    """Read a row as listeners are told it: parts, each as its length, a colon and its bytes, and blanks.

    Returns:
        The id, and what reads the task; None when only the id was told.
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
    return row[0].decode(), partial(read_task, [part or None for part in row])


_HEAD = (
    "state",
    "submitted",
    "lane",
    "priority",
    "ttl",
    "agent",
    "token",
    "lease",
    "listener",
    "attempts",
    "calls",
    "finished",
    "size",
)
_STATES = {
    "p": TaskState.PENDING,
    "a": TaskState.ASSIGNED,
    "r": TaskState.RUNNING,
    "c": TaskState.COMPLETED,
    "f": TaskState.FAILED,
    "x": TaskState.CANCELLED,
}


def record_of(row: Sequence[Any]) -> dict[str, str]:
    """Return the record's fields of a reply's row, those that are set (``tasks/lua/shared/record.lua``)."""
    head = _split(row)[0]
    record = {name: part for name, part in zip(_HEAD, head, strict=False) if part} | _rare(head)
    record.pop("size", None)
    record["state"] = _STATES.get(record["state"], record["state"])
    if "agent" in record:
        record["agent"] = unquote(record["agent"])
    if "finished" in record:  # then these count from the submission
        for name in ("finished", "token"):
            if name in record:
                record[name] = str(int(record["submitted"]) + int(record[name]))
    if "agent" in record:
        record.setdefault("claimed", record["token"])
    return record


def _split(row: Sequence[Any]) -> tuple[list[str], bytes | None, bytes | None]:
    """Return the parts of the head, what was submitted and what came out."""
    text, _, body = row[1].partition(b"\n")
    head = text.decode().split("|")
    size = int(head[len(_HEAD) - 1] or 0)
    spec, result = body[:size] or None, body[size:] or None
    if len(row) > 2:  # what has a key of its own
        spec, result = spec or row[2], result or row[3]
    return head, spec, result


def _rare(head: Sequence[str]) -> dict[str, str]:
    """Return the fields that few records have."""
    named = (part.partition("=") for part in head[len(_HEAD) : -1])
    return {name: unquote(value) for name, _, value in named}


def _failure(task_id: str, record: dict[str, str]) -> dict[str, Any]:
    """Tell why the rules failed a task: ``reason`` in one word, ``message``, and the claims that expired."""
    expired = [
        {
            "agent_id": lost["agent"],
            "claim_token": int(lost["token"]),
            "claimed_at": int(lost["claimed"]) / 1e6,
            "expired_at": int(lost["lease"]) / 1e6,
        }
        for lost in map(json.loads, filter(None, record.get("lost", "").split("\n")))
    ]
    messages = {
        "deadline": "the deadline passed before the task was finished",
        "max_retries": f"{record.get('expiries')} claims expired, max_retries allows {record.get('retries')}",
    }
    reason = record["failure"]
    return {"reason": reason, "message": messages.get(reason, reason), "expired_claims": expired}


def refused(verb: str, agent_id: str, task_id: str, reply: Sequence[Any]) -> NotAuthorizedError:
    """Return the error for a refusal (``tasks/lua/shared/require_holder.lua``)."""
    word, state, holder, token = (part.decode() for part in reply)
    start = f"agent {agent_id!r} is not authorized to {verb} task {task_id!r}: "
    if word == "CANCELLED":
        return TaskCancelledError(start + "the task was cancelled; drop the work")
    if state in {"assigned", "running"}:
        now = f"agent {holder!r} holds it with claim token {token}"
    elif state == "pending":
        now = "it is pending again"
    else:
        now = f"it is {state}"
    if word == "CLAIM_LOST":
        return ClaimLostError(start + f"this claim has expired, was given back or was replaced; {now}")
    return NotAuthorizedError(start + f"it does not hold the claim; {now}")
