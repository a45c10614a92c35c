"""Calls that wait for tasks to end, and workers that must learn when another process ends their claims."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from converge_redis.core.batching import batches_by
from converge_redis.core.durations import optional_seconds
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Procedure, send_all
from converge_redis.core.scripts import Script
from converge_redis.errors import StoreReplyError
from converge_redis.notifications.listener import Listener, ListenerPart, Loop
from converge_redis.notifications.waiters import Observation, Waiter, Waiters
from converge_redis.tasks.model import Task
from converge_redis.tasks.replies import decode_message, decode_task
from converge_redis.tasks.submit import TaskArgs, submit_watched

_WATCH_TASKS = Script("tasks/watch_tasks")
_UNWATCH_TASKS = Script("tasks/unwatch_tasks")

TASKS_PER_SCRIPT = 200

TaskWaiter = Waiter[str, Task]


class TaskWaiters(ListenerPart):
    """All calls of a listener that wait for tasks to end."""

    messages: ClassVar = {b"done": "_on_done"}

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiters: Waiters[str, Task] = Waiters(self._read, self._unwatch)

    def begin(self, task_ids: Sequence[str], needed: int) -> TaskWaiter:
        """Begin to wait for some of several tasks; `end` ends it."""
        waiter = TaskWaiter(task_ids, needed)
        self._waiters.add(waiter)
        return waiter

    def end(self, waiter: TaskWaiter) -> None:
        """End a wait, done or not."""
        self._waiters.remove(waiter)

    async def submit_and_begin(self, namespace: Namespace, args: TaskArgs) -> TaskWaiter:
        """Submit a task, and begin to wait for it; `end` ends it."""
        waiter = TaskWaiter((args.task_id,), 1)
        self._waiters.add(waiter, exists=False)
        is_registered = False
        try:
            is_registered = await self._listener.run(submit_watched(namespace, args, self._listener.id))
        except BaseException:
            self._waiters.remove(waiter)
            raise
        finally:
            self._waiters.created(args.task_id, read=not is_registered)
        return waiter

    def loops(self) -> Sequence[Loop]:
        """See `ListenerPart`."""
        return [self._waiters.run]

    def on_subscribed(self) -> None:
        """See `ListenerPart`."""
        self._waiters.read_all_again()

    def fail_all(self, error: BaseException) -> None:
        """See `ListenerPart`."""
        self._waiters.fail_all(error)

    async def unregister(self) -> None:
        """See `ListenerPart`."""
        if watched := self._waiters.watched:
            await self._unwatch(watched)

    def _on_done(self, _shard: int, message: bytes) -> None:
        task_id, decode = decode_message(message)
        try:
            task = decode()
        except StoreReplyError:
            task = None  # the next read raises the error for the waiters
        if task is None:
            self._waiters.read_again(task_id)
        else:
            self._waiters.resolve(task_id, task)

    async def _read(self, task_ids: Sequence[str]) -> dict[str, Observation[Task]]:
        return await self._listener.run(watch_tasks(self._listener.namespace, self._listener.id, task_ids))

    async def _unwatch(self, task_ids: Sequence[str]) -> None:
        await self._listener.run(unwatch_tasks(self._listener.namespace, self._listener.id, task_ids))


class ClaimEnds(ListenerPart):
    """Claims of this process that another one may end: a cancellation, an expiry, an operator's call."""

    messages: ClassVar = {b"lost": "_on_lost"}

    def __init__(self, _listener: Listener) -> None:
        self._on_suspect = dict[tuple[str, int], Callable[[], None]]()

    def add(self, task_id: str, claim_token: int, on_suspect: Callable[[], None]) -> None:
        """Call `on_suspect` when another process ends this claim, and after every reconnect, because the
        message may have been lost.
        """  # noqa: D205 - one sentence
        self._on_suspect[task_id, claim_token] = on_suspect

    def remove(self, task_id: str, claim_token: int) -> None:
        """Undo `add`."""
        self._on_suspect.pop((task_id, claim_token), None)

    def on_subscribed(self) -> None:
        """See `ListenerPart`."""
        for on_suspect in list(self._on_suspect.values()):
            on_suspect()

    def _on_lost(self, _shard: int, message: bytes) -> None:
        token, _, task_id = message.partition(b" ")
        on_suspect = self._on_suspect.pop((task_id.decode(), int(token)), None)
        if on_suspect is not None:
            on_suspect()


def watch_tasks(
    namespace: Namespace, listener: str, task_ids: Sequence[str]
) -> Procedure[dict[str, Observation[Task]]]:
    """Read tasks, and register a listener for those that have not ended."""
    batches = batches_by(namespace.keys.shard_of, task_ids, TASKS_PER_SCRIPT)
    replies = yield from send_all(
        [
            Operation(_WATCH_TASKS, namespace.keys.shard(shard), (listener, *batch), _decode_observations)
            for shard, batch in batches
        ]
    )
    return {
        task_id: observation
        for (_, batch), observations in zip(batches, replies, strict=True)
        for task_id, observation in zip(batch, observations, strict=True)
    }


def unwatch_tasks(namespace: Namespace, listener: str, task_ids: Sequence[str]) -> Procedure[None]:
    """Unregister a listener for tasks."""
    yield from send_all(
        [
            Operation(_UNWATCH_TASKS, namespace.keys.shard(shard), (listener, *batch), lambda _reply: None)
            for shard, batch in batches_by(namespace.keys.shard_of, task_ids, TASKS_PER_SCRIPT)
        ]
    )


def _decode_observations(reply: Sequence[Any]) -> list[Observation[Task]]:
    return [_decode_observation(entry) for entry in reply[1:]]


def _decode_observation(entry: Sequence[Any]) -> Observation[Task]:
    match len(entry):
        case 0:
            return Observation(None, False, None)
        case 1:
            return Observation(None, True, optional_seconds(entry[0]))
    return Observation(decode_task(entry), True, None)
