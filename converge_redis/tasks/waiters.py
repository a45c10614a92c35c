"""What listeners ask of a shard on behalf of those who wait; see `converge_redis.listening`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha1
from typing import Any, Generic, TypeVar

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask_all
from converge_redis.core.scripts import Script
from converge_redis.tasks.model import Task
from converge_redis.tasks.replies import read_task

T = TypeVar("T")

_WATCH_TASKS = Script("tasks/watch_tasks")
_UNWATCH_TASKS = Script("tasks/unwatch_tasks")
_RENEW = Script("tasks/renew_claimers")
_LEAVE_QUEUE = Script("tasks/leave_claim_queue")
_PASS_ON = Script("tasks/wake_next_claimer")
_TICK = Script("tasks/apply_due")
_CLOSE = Script("tasks/close_claim_queue")

TASKS_PER_SCRIPT = 200
CLAIMERS_PER_SCRIPT = 500


@dataclass(slots=True, frozen=True)
class Look(Generic[T]):
    """What something that is waited for looked like.

    Attributes:
        found: What is waited for, if it has happened: the task that has ended, the session that has changed.
        known: False: there is no such thing.
        ends_in: The seconds until time alone may make it happen, such as a deadline; None: it will not.
    """

    found: T | None
    known: bool
    ends_in: float | None


def watch_tasks(space: Namespace, listener: str, task_ids: Sequence[str]) -> Steps[dict[str, Look[Task]]]:
    """Read tasks, and have a listener told of the end of those that have not ended."""
    chunks = list(_by_shard(space, task_ids))
    answers = yield from ask_all(
        [
            Operation(_WATCH_TASKS, space.keys.shard(shard), (listener, *chunk), _read_looks)
            for shard, chunk in chunks
        ]
    )
    return {
        task_id: look
        for (_, chunk), looks in zip(chunks, answers, strict=True)
        for task_id, look in zip(chunk, looks, strict=True)
    }


def unwatch_tasks(space: Namespace, listener: str, task_ids: Sequence[str]) -> Steps[None]:
    """Have a listener not told any more when tasks end."""
    yield from ask_all(
        [
            Operation(_UNWATCH_TASKS, space.keys.shard(shard), (listener, *chunk), _read_nothing)
            for shard, chunk in _by_shard(space, task_ids)
        ]
    )


def _by_shard(space: Namespace, task_ids: Iterable[str]) -> Iterable[tuple[int, list[str]]]:
    by_shard: dict[int, list[str]] = {}
    for task_id in task_ids:
        by_shard.setdefault(space.keys.shard_of(task_id), []).append(task_id)
    for shard, of_shard in by_shard.items():
        for start in range(0, len(of_shard), TASKS_PER_SCRIPT):
            yield shard, of_shard[start : start + TASKS_PER_SCRIPT]


def _read_looks(reply: Sequence[Any]) -> list[Look[Task]]:
    return [_read_look(entry) for entry in reply[1:]]


def _read_look(entry: Sequence[Any]) -> Look[Task]:
    match len(entry):
        case 0:
            return Look(None, False, None)
        case 1:
            return Look(None, True, seconds(entry[0]))
    return Look(read_task(entry), True, None)


@lru_cache(maxsize=1024)
def profile_of(visible: tuple[Argument, ...]) -> str:
    """Return the name under which claimers with the same filter (`visible_lanes`) wait together."""
    return sha1(repr(visible).encode(), usedforsecurity=False).hexdigest()[:20]


def renew(
    space: Namespace, shard: int, listener: str, visible: tuple[Argument, ...], numbers: Sequence[int]
) -> Operation[tuple[float | None, list[tuple[str, int]]]]:
    """Renew the places of claimers who wait in a shard with one filter, at most `CLAIMERS_PER_SCRIPT`.

    Returns:
        The seconds until the listener is to tick, or None; and lanes with work for them, each with the
        number of its tasks.
    """
    args = (listener, profile_of(visible), len(numbers))
    return Operation(_RENEW, space.keys.shard(shard), (*args, *numbers, *visible), _read_work)


def _read_work(reply: Sequence[Any]) -> tuple[float | None, list[tuple[str, int]]]:
    lanes = [(reply[i].decode(), int(reply[i + 1])) for i in range(2, len(reply), 2)]
    return seconds(reply[1]), lanes


def leave_queue(
    space: Namespace, shard: int, listener: str, visible: tuple[Argument, ...], numbers: Sequence[int]
) -> Operation[None]:
    """Take claimers with one filter, at most `CLAIMERS_PER_SCRIPT`, from the queue of those who wait."""
    args: tuple[Argument, ...] = (listener, profile_of(visible), *numbers)
    return Operation(_LEAVE_QUEUE, space.keys.shard(shard), args, _read_nothing)


def pass_on(space: Namespace, shard: int, lane: str) -> Operation[None]:
    """Wake another claimer for a lane, in place of one that waits no more."""
    return Operation(_PASS_ON, space.keys.shard(shard), (lane,), _read_nothing)


def tick(space: Namespace, shard: int, listener: str) -> Operation[float | None]:
    """Let time pass in a shard; returns the seconds until it is to be done again, or None."""
    return Operation(_TICK, space.keys.shard(shard), (listener,), lambda reply: seconds(reply[1]))


def close_listener(space: Namespace, shard: int, listener: str) -> Operation[None]:
    """Forget a listener that ends."""
    return Operation(_CLOSE, space.keys.shard(shard), (listener,), _read_nothing)


def _read_nothing(_reply: Any) -> None:
    return None


def seconds(microseconds: bytes) -> float | None:
    """Read a duration of a reply."""
    return int(microseconds) / 1e6 if microseconds else None
