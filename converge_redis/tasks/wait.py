"""Waiting for tasks to end, without polling: wait, wait_all, wait_any, as_completed, submit_and_wait."""

import asyncio
import time
from collections.abc import Iterable
from functools import partial

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Emit, Procedure, Stream
from converge_redis.core.validation import validate_id, validate_ids, validate_seconds
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.steps import on_listener
from converge_redis.tasks.model import Task
from converge_redis.tasks.query import get_tasks
from converge_redis.tasks.submit import NO_DELAY, TaskArgs, encode_task
from converge_redis.tasks.waiters import TaskWaiter, TaskWaiters

READ_FIRST_BELOW = 1.0
"""With a time-out of fewer seconds, a wait reads the tasks before the time begins to count."""


def wait_until_done(
    namespace: Namespace, task_id: str, timeout: float | None = None
) -> Procedure[Task | None]:
    """Wait until a task is completed, failed or cancelled.

    Args:
        task_id: The task's id.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot of the terminal task; None when the time is up, or the task is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    validate_id("task_id", task_id)
    done = yield from _wait(namespace, (task_id,), timeout, 1)
    return done.get(task_id)


def wait(namespace: Namespace, task_id: str, timeout: float | None = None) -> Procedure[Task | None]:
    """Wait as `wait_until_done` does; on the blocking manager, this one blocks.

    Args:
        task_id: The task's id.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot of the terminal task; None when the time is up, or the task is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    return wait_until_done(namespace, task_id, timeout)


def submit_and_wait(
    namespace: Namespace, task: Task, timeout: float | None = None, *, delay: float = NO_DELAY
) -> Procedure[Task | None]:
    """Submit a task, and wait until it is completed, failed or cancelled.

    It has the effect of `submit` followed by `wait`, in one round trip and one push message: the script that
    stores the task also registers the waiter.

    Args:
        task: The task, as for `submit`.
        timeout: The most seconds to wait once it is submitted; None: no limit.
        delay: Seconds until the task can be claimed.

    Returns:
        A snapshot of the terminal task; None when the time is up: the task stays, wait for it by its id.

    Raises:
        TaskExistsError: Another task was submitted under this id.
        InvalidTypeError, InvalidValueError: A field or a constraint is malformed.
        PayloadTooLargeError: The task exceeds the store's ``payload_limit``.
        StoreClosedError: The store was closed meanwhile.
    """
    _validate_timeout(timeout)
    args = encode_task(namespace, task, delay)
    ended = yield from on_listener(partial(_submit_and_wait, namespace, args, timeout))
    return ended[0] if ended else None


def wait_all(
    namespace: Namespace, task_ids: Iterable[str], timeout: float | None = None
) -> Procedure[list[Task | None]]:
    """Wait until all of several tasks are completed, failed or cancelled.

    Args:
        task_ids: The tasks' ids.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        One entry for each id, in their order: a snapshot of the terminal task; None when the time was up
        before, or the task is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    ids = validate_ids("task_ids", task_ids)
    done = yield from _wait(namespace, ids, timeout, len(set(ids)))
    return [done.get(task_id) for task_id in ids]


def wait_any(
    namespace: Namespace, task_ids: Iterable[str], timeout: float | None = None
) -> Procedure[Task | None]:
    """Wait until one of several tasks is completed, failed or cancelled.

    Args:
        task_ids: The tasks' ids.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot of a terminal task; None when the time is up, or none of the tasks is known.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    ids = validate_ids("task_ids", task_ids)
    done = yield from _wait(namespace, ids, timeout, 1)
    return next((done[task_id] for task_id in ids if task_id in done), None)


def as_completed(namespace: Namespace, task_ids: Iterable[str], timeout: float | None = None) -> Stream[Task]:
    """Iterate over tasks as they are completed, failed or cancelled.

    Args:
        task_ids: The tasks' ids; a repeated id counts once.
        timeout: The most seconds to wait for all of them; None: no limit.

    Returns:
        Snapshots of the terminal tasks, in the order in which this process learns of their ends. Unknown
        tasks are left out.

    Raises:
        TimeoutError: The time was up before all tasks had ended.
        StoreClosedError: The store was closed meanwhile.
    """
    ids = validate_ids("task_ids", task_ids)
    _validate_timeout(timeout)
    deadline = None if timeout is None else time.monotonic() + timeout
    begun: list[tuple[TaskWaiters, TaskWaiter]] = []
    try:
        waiter = yield from on_listener(partial(_begin, ids, begun))
        while True:
            left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
            ended = yield from on_listener(partial(_next_ended, waiter, left))
            if not ended:
                return
            for task in ended:
                yield Emit(task)
    finally:
        for waiters, waiter in begun:
            waiters.end(waiter)


async def _begin(
    ids: tuple[str, ...], begun: list[tuple[TaskWaiters, TaskWaiter]], listener: Listener
) -> TaskWaiter:
    waiters = listener.part(TaskWaiters)
    waiter = waiters.begin(ids, 1)
    begun.append((waiters, waiter))
    return waiter


async def _next_ended(waiter: TaskWaiter, seconds: float | None, _listener: Listener) -> list[Task]:
    async with asyncio.timeout(seconds):
        await waiter.wait()
    ended, waiter.results = waiter.results, []
    return ended


def _wait(
    namespace: Namespace, ids: tuple[str, ...], timeout: float | None, needed: int
) -> Procedure[dict[str, Task]]:
    _validate_timeout(timeout)
    ended: list[Task] = []
    if timeout is not None and timeout < READ_FIRST_BELOW:
        tasks = yield from get_tasks(namespace, ids)
        ended = list({task.id: task for task in tasks if task is not None and task.is_finished}.values())
    if timeout != 0 and len(ended) < needed:
        ended = yield from on_listener(partial(_wait_for_tasks, ids, timeout, needed))
    return {task.id: task for task in ended}


def _validate_timeout(timeout: float | None) -> None:
    if timeout is not None:
        validate_seconds("timeout", timeout, zero=True)


async def _wait_for_tasks(
    ids: tuple[str, ...], timeout: float | None, needed: int, listener: Listener
) -> list[Task]:
    waiters = listener.part(TaskWaiters)
    return await _wait_and_end(waiters, waiters.begin(ids, needed), timeout)


async def _submit_and_wait(
    namespace: Namespace, args: TaskArgs, timeout: float | None, listener: Listener
) -> list[Task]:
    waiters = listener.part(TaskWaiters)
    return await _wait_and_end(waiters, await waiters.submit_and_begin(namespace, args), timeout)


async def _wait_and_end(waiters: TaskWaiters, waiter: TaskWaiter, timeout: float | None) -> list[Task]:
    try:
        return await waiter.wait_for(timeout)
    finally:
        waiters.end(waiter)
