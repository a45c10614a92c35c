"""Submitting: submit, submit_many, requeue_task."""

import itertools
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from converge_redis.core.batching import batches_by
from converge_redis.core.codec import decode, encode
from converge_redis.core.durations import microseconds
from converge_redis.core.ids import call_id
from converge_redis.core.keys import OPEN_LANE, lane
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Procedure, send_all
from converge_redis.core.scripts import Script
from converge_redis.core.topic import Topic
from converge_redis.core.validation import (
    MAX_PRIORITY,
    short_repr,
    validate_id,
    validate_ids,
    validate_integer,
    validate_seconds,
)
from converge_redis.errors import InvalidTypeError, InvalidValueError, TaskExistsError
from converge_redis.notifications.steps import invalidating
from converge_redis.tasks.constraints import default_rules, rules_of
from converge_redis.tasks.model import Task, TaskState
from converge_redis.tasks.record import encode_new_head

_SUBMIT = Script("tasks/submit")
_REQUEUE_TASK = Script("tasks/requeue_task")

TASKS_PER_SCRIPT = 500
SCRIPTS_PER_BATCH = 8

NO_DELAY = 0.0

SPEC_FIELD_TYPES: dict[str, type] = {
    "objective": str,
    "inputs": dict,
    "outputs": dict,
    "constraints": dict,
    "pool_id": str,
    "topic": Topic,
    "required_capabilities": list,
    "priority": int,
}
"""The fields of a specification, but for the evaluator; one that is empty, None or 0 is left out."""

_OPTIONAL = frozenset({"pool_id", "topic"})


class TaskArgs(NamedTuple):
    """One task as ``tasks/lua/submit.lua`` takes it.

    Attributes:
        task_id: Its id.
        head: The head of its record, from after the time of submission.
        spec: The specification: the fields that the caller set, as msgpack.
        lane: Its lane.
        score: Its score there.
        delay: Microseconds until it can be claimed; ``""``: none.
        deadline: Its deadline in microseconds; ``""``: none.
    """

    task_id: str
    head: str
    spec: bytes
    lane: str
    score: int
    delay: Argument
    deadline: Argument


def submit(namespace: Namespace, task: Task, *, delay: float = NO_DELAY) -> Operation[str]:
    """Submit a task; it becomes pending.

    Submitting the same task again has no effect, so a call whose outcome is unknown can be repeated.

    Args:
        task: The task. Its state must be pending; the fields that the manager sets are ignored.
        delay: Seconds until the task can be claimed.

    Returns:
        The task's id.

    Raises:
        TaskExistsError: Another task was submitted under this id.
        InvalidTypeError, InvalidValueError: A field or a constraint is malformed.
        PayloadTooLargeError: The task exceeds the store's ``payload_limit``.
    """
    args = encode_task(namespace, task, delay)
    return Operation(
        _SUBMIT, namespace.keys.shard_with(args.task_id), ("", *args), partial(_decode_submitted, args)
    )


def submit_watched(namespace: Namespace, args: TaskArgs, listener: str) -> Operation[bool]:
    """Submit a task, and register a listener for its end.

    Returns:
        Whether nothing else is needed. A task that was stored before must be read, and so must one that time
        alone may end, by its deadline.
    """

    def read(reply: Sequence[Any]) -> bool:
        _decode_submitted(args, reply)
        return bool(reply[0] == b"SUBMITTED") and args.deadline == ""

    return Operation(_SUBMIT, namespace.keys.shard_with(args.task_id), (listener, *args), read)


def submit_many(
    namespace: Namespace, tasks: Iterable[Task], *, delay: float = NO_DELAY
) -> Procedure[list[str]]:
    """Submit tasks in as few round trips as possible.

    Every task is validated before the first is sent. Tasks whose ids are in use for other tasks are refused
    together, after the others were stored. A call that failed half-way can be repeated.

    Args:
        tasks: The tasks, in the order in which they are stored.
        delay: Seconds until the tasks can be claimed.

    Returns:
        The ids, in the order of the tasks.

    Raises:
        TaskExistsError: Other tasks were submitted under some of the ids; ``ids`` lists them.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: As for `submit`; nothing was stored.
    """
    encoded = [encode_task(namespace, task, delay) for task in tasks]
    operations = [
        Operation(
            _SUBMIT,
            namespace.keys.shard(shard),
            ("", *itertools.chain.from_iterable(batch)),
            partial(_conflicting_ids, batch),
        )
        for shard, batch in batches_by(
            lambda args: namespace.keys.shard_of(args.task_id),
            encoded,
            TASKS_PER_SCRIPT,
            lambda args: len(args.spec),
        )
    ]
    conflicts: list[str] = []
    for start in range(0, len(operations), SCRIPTS_PER_BATCH):
        for ids in (yield from send_all(operations[start : start + SCRIPTS_PER_BATCH])):
            conflicts += ids
    if conflicts:
        raise _exists(conflicts)
    return [args.task_id for args in encoded]


def requeue_task(namespace: Namespace, task_id: str) -> Procedure[bool]:
    """Make a failed or cancelled task pending again; its expired claims are no longer counted.

    Args:
        task_id: The task's id.

    Returns:
        True; False when the task is unknown, neither failed nor cancelled, or past its deadline.
    """
    validate_id("task_id", task_id)
    keys = namespace.keys.shard_with(task_id)
    work = Operation(_REQUEUE_TASK, keys, (call_id(), task_id), lambda reply: bool(reply[0] == b"REQUEUED"))
    return invalidating(work, namespace.keys.reopened(task_id))


def encode_task(namespace: Namespace, task: Task, delay: float = NO_DELAY) -> TaskArgs:
    """Validate a task and encode it for its script."""
    delay_us: Argument = ""
    if delay is not NO_DELAY:
        delay_us = microseconds(validate_seconds("delay", delay, zero=True)) or ""
    values, set_fields = validate_task(task)
    spec = encode("task", set_fields, namespace.payload_limit)
    lane_name, stored_lane, priority = OPEN_LANE, "", values["priority"]
    if "pool_id" in set_fields or "topic" in set_fields or "required_capabilities" in set_fields:
        lane_name = lane(values["pool_id"], values["topic"], values["required_capabilities"])
        stored_lane = lane_name
    if "constraints" in set_fields:
        rules = rules_of(set_fields["constraints"], namespace.claim_ttl_sec, namespace.retention_sec)
    else:
        rules = default_rules(namespace.claim_ttl_sec, namespace.retention_sec)
    head = encode_new_head(stored_lane, priority, rules.ttl, len(spec), rules.options)
    return TaskArgs(values["id"], head, spec, lane_name, -priority, delay_us, rules.deadline)


def validate_task(task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """Validate a task for submission.

    Returns:
        All fields of the task, and those of its specification that are not at their defaults.
    """
    if not isinstance(task, Task):
        raise InvalidTypeError(f"task must be a Task, not {type(task).__name__} {short_repr(task)}")
    values = task.__dict__
    set_fields = _set_fields(values) if type(task) is Task else None
    if set_fields is None:
        values = Task.model_validate(values).__dict__
        set_fields = {name: value for name in SPEC_FIELD_TYPES if (value := values[name])}
    if values["state"] != TaskState.PENDING:
        raise InvalidValueError(
            f"task.state must be pending at submit, not {short_repr(values['state'])} "
            f"(task {short_repr(values['id'])})"
        )
    validate_id("task.id", values["id"])
    if "priority" in set_fields:
        validate_integer("task.priority", set_fields["priority"], -MAX_PRIORITY, MAX_PRIORITY)
    if "pool_id" in set_fields:
        validate_id("task.pool_id", set_fields["pool_id"])
    if "topic" in set_fields:
        validate_id("task.topic", set_fields["topic"])
    if "required_capabilities" in set_fields:
        validate_ids("task.required_capabilities", set_fields["required_capabilities"])
    if values["evaluator"] is not None:
        set_fields["evaluator"] = values["evaluator"]
    return values, set_fields


def _set_fields(values: dict[str, Any]) -> dict[str, Any] | None:
    """Return the fields that are not at their defaults; None where one must be validated anew.

    Pydantic validates fields when they are assigned, but their contents may have changed since.
    """
    set_fields = {}
    for name, kind in SPEC_FIELD_TYPES.items():
        value: Any = values[name]
        if type(value) is not kind:
            if value is None and name in _OPTIONAL:
                continue
            return None
        if value:
            if kind is dict:
                for key in values[name]:
                    if type(key) is not str:
                        return None
            set_fields[name] = value
        elif name in _OPTIONAL:
            return None
    return set_fields


def _conflicting_ids(batch: Sequence[TaskArgs], reply: Sequence[Any]) -> list[str]:
    """Return the ids under which other tasks are stored."""
    stored = {reply[i].decode(): reply[i + 1] for i in range(1, len(reply), 2)}
    return [
        args.task_id
        for args in batch
        if args.task_id in stored and _canonical(stored[args.task_id]) != _canonical(args.spec)
    ]


def _canonical(spec: bytes) -> bytes:
    """Return a specification with the items of its dicts sorted: their order is of no account."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ordered(value[key]) for key in sorted(value, key=repr)}
        return type(value)(map(ordered, value)) if isinstance(value, list | tuple) else value

    return encode("task", ordered(decode(spec)), sys.maxsize)


def _decode_submitted(args: TaskArgs, reply: Sequence[Any]) -> str:
    if len(reply) > 1 and _conflicting_ids([args], reply):
        raise _exists([args.task_id])
    return args.task_id


def _exists(ids: Sequence[str]) -> TaskExistsError:
    listed = ", ".join(map(short_repr, ids[:10])) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
    return TaskExistsError(
        f"another task was submitted under the id {listed}; give the new one another id", *ids
    )
