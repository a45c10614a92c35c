"""Verbs that bring tasks in, or back in: submit, submit_many, requeue_task."""

import itertools
import sys
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from converge_redis.core.batching import chunks_of
from converge_redis.core.codec import decode, encode
from converge_redis.core.ids import call_id
from converge_redis.core.keys import OPEN_LANE, lane
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask_all, then_forget
from converge_redis.core.scripts import Script
from converge_redis.core.validation import (
    MAX_PRIORITY,
    check_id,
    check_ids,
    check_integer,
    check_seconds,
    shown,
)
from converge_redis.errors import InvalidTypeError, InvalidValueError, TaskExistsError
from converge_redis.tasks.constraints import microseconds, rules_of
from converge_redis.tasks.model import Task, TaskState, Topic

_SUBMIT = Script("tasks/submit")
_REQUEUE_TASK = Script("tasks/requeue_task")

TASKS_PER_SCRIPT = 500
SCRIPTS_TOGETHER = 8

_TYPES: dict[str, type] = {
    "objective": str,
    "inputs": dict,
    "outputs": dict,
    "constraints": dict,
    "pool_id": str,
    "topic": Topic,
    "required_capabilities": list,
    "priority": int,
}
"""The fields of a specification, but for the evaluator; empty, None or 0 is the default, and left out."""

Entry = tuple[Any, ...]
"""One task as ``tasks/lua/submit.lua`` reads it: its id, the head of its record, its spec, and more."""

MOST_INSIDE = 1024
"""The bytes of a specification that has its place inside the record, as in ``tasks/lua/shared/record.lua``."""

_OPTIONAL = frozenset({"pool_id", "topic"})

AT_ONCE = 0.0


def submit(space: Namespace, task: Task, *, delay: float = AT_ONCE) -> Operation[str]:
    """Submit a task; it becomes pending.

    The same task again has no effect, so a call whose outcome is unknown can be repeated.

    Args:
        task: The task. Its state must be pending; fields that the manager sets are ignored.
        delay: Seconds until the task can be claimed.

    Returns:
        The task's id.

    Raises:
        TaskExistsError: Another task was submitted under this id.
        InvalidTypeError, InvalidValueError: A field or a constraint is malformed.
        PayloadTooLargeError: The task exceeds the store's ``payload_limit``.
    """
    entry = lay_out(space, task, delay)
    return Operation(_SUBMIT, space.keys.shard_with(entry[0]), ("", *entry), partial(_read_submitted, entry))


def submit_watched(space: Namespace, entry: Entry, listener: str) -> Operation[bool]:
    """Submit a task as `lay_out` has made it, and have a listener told when it ends.

    Returns:
        Whether that is all that it takes: a task that was stored before has to be looked at, and so has one
        that time alone may end, by its deadline.
    """

    def read(reply: Sequence[Any]) -> bool:
        _read_submitted(entry, reply)
        return bool(reply[0] == b"SUBMITTED") and entry[-1] == ""

    return Operation(_SUBMIT, space.keys.shard_with(entry[0]), (listener, *entry), read)


def submit_many(space: Namespace, tasks: Iterable[Task]) -> Steps[list[str]]:
    """Submit tasks in as few round trips as possible.

    Every task is checked before the first is sent. Tasks under ids that other tasks have taken are refused
    together, after the others were stored. A call that failed half-way can be repeated.

    Args:
        tasks: The tasks, in the order in which they are stored.

    Returns:
        The ids, in the order of the tasks.

    Raises:
        TaskExistsError: Other tasks were submitted under some of the ids; the message lists them.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: As for `submit`; nothing was stored.
    """
    entries = [lay_out(space, task) for task in tasks]
    by_shard: dict[int, list[Entry]] = {}
    for entry in entries:
        by_shard.setdefault(space.keys.shard_of(entry[0]), []).append(entry)
    operations = [
        Operation(
            _SUBMIT,
            space.keys.shard(shard),
            ("", *itertools.chain.from_iterable(chunk)),
            partial(_read_taken, chunk),
        )
        for shard, of_shard in by_shard.items()
        for chunk in chunks_of(of_shard, lambda entry: len(entry[2]), TASKS_PER_SCRIPT)
    ]
    taken: list[str] = []
    for start in range(0, len(operations), SCRIPTS_TOGETHER):
        for outcome in (yield from ask_all(operations[start : start + SCRIPTS_TOGETHER])):
            taken += outcome
    if taken:
        raise _exists(taken)
    return [entry[0] for entry in entries]


def requeue_task(space: Namespace, task_id: str) -> Steps[bool]:
    """Make a failed or cancelled task pending again, with its expired claims forgotten.

    Args:
        task_id: The task's id.

    Returns:
        True; False when the task is unknown, neither failed nor cancelled, or past its deadline.
    """
    check_id("task_id", task_id)
    keys = space.keys.shard_with(task_id)
    work = Operation(_REQUEUE_TASK, keys, (call_id(), task_id), lambda reply: bool(reply[0] == b"REQUEUED"))
    return then_forget(work, space.keys.reopened(task_id))


def lay_out(space: Namespace, task: Task, delay: float = AT_ONCE) -> Entry:
    """Check a task and lay it out for its script."""
    delay_us: Argument = ""
    if delay is not AT_ONCE:
        delay_us = microseconds(check_seconds("delay", delay, zero=True)) or ""
    if not isinstance(task, Task):
        raise InvalidTypeError(f"task must be a Task, not {type(task).__name__} {shown(task)}")
    values = task.__dict__
    given = _given(values) if type(task) is Task else None
    if given is None:
        values = Task.model_validate(values).__dict__
        given = {name: value for name in _TYPES if (value := values[name])}
    _check(values, given)
    if values["evaluator"] is not None:
        given["evaluator"] = values["evaluator"]
    spec = encode("task", given, space.payload_limit)
    place, in_head, priority = OPEN_LANE, "", values["priority"]
    if "pool_id" in given or "topic" in given or "required_capabilities" in given:
        place = in_head = lane(values["pool_id"], values["topic"], values["required_capabilities"])
    ttl, named, deadline = space.unconstrained
    if "constraints" in given:
        ttl, named, deadline = rules_of(given["constraints"], space.claim_ttl_sec, space.retention_sec)
    size = len(spec) if len(spec) <= MOST_INSIDE else ""
    # The head of its record after the time of submission (``tasks/lua/shared/record.lua``).
    head = f"|{in_head}|{priority or ''}|{ttl}||||||||{size}|{named}"
    return (values["id"], head, spec, place, -priority, delay_us, deadline)


def _given(values: dict[str, Any]) -> dict[str, Any] | None:
    """Return the fields of a task that are not at their defaults; None where one has to be validated anew.

    Fields are checked when they are assigned, but what is inside them may have changed since.
    """
    given = {}
    for name, kind in _TYPES.items():
        value = values[name]
        if type(value) is not kind:
            if value is None and name in _OPTIONAL:
                continue
            return None
        if value:
            if kind is dict:
                for key in values[name]:
                    if type(key) is not str:
                        return None
            given[name] = value
        elif name in _OPTIONAL:
            return None
    return given


def _check(values: dict[str, Any], given: dict[str, Any]) -> None:
    if values["state"] != TaskState.PENDING:
        raise InvalidValueError(
            f"task.state must be pending at submit, not {shown(values['state'])} (task {shown(values['id'])})"
        )
    check_id("task.id", values["id"])
    if "priority" in given:
        check_integer("task.priority", given["priority"], -MAX_PRIORITY, MAX_PRIORITY)
    if "pool_id" in given:
        check_id("task.pool_id", given["pool_id"])
    if "topic" in given:
        check_id("task.topic", given["topic"])
    if "required_capabilities" in given:
        check_ids("task.required_capabilities", given["required_capabilities"])


def _read_taken(entries: Sequence[Entry], reply: Sequence[Any]) -> list[str]:
    """Return the ids that other tasks have taken."""
    stored = {reply[i].decode(): reply[i + 1] for i in range(1, len(reply), 2)}
    return [
        task_id
        for task_id, _, spec, *_ in entries
        if task_id in stored and _in_order(stored[task_id]) != _in_order(spec)
    ]


def _in_order(spec: bytes) -> bytes:
    """Return a specification with the items of its dicts in one order: that alone may differ."""

    def ordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: ordered(value[key]) for key in sorted(value, key=repr)}
        return type(value)(map(ordered, value)) if isinstance(value, list | tuple) else value

    return encode("task", ordered(decode(spec)), sys.maxsize)


def _read_submitted(entry: Entry, reply: Sequence[Any]) -> str:
    task_id: str = entry[0]
    if len(reply) > 1 and _read_taken([entry], reply):
        raise _exists([task_id])
    return task_id


def _exists(ids: Sequence[str]) -> TaskExistsError:
    listed = ", ".join(map(shown, ids[:10])) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
    return TaskExistsError(f"another task was submitted under the id {listed}; give the new one another id")
