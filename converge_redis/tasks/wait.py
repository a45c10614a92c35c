"""Verbs that wait for tasks to end: by push from the server, never by polling."""

import asyncio
import time
from collections.abc import Iterable
from functools import partial

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Give, Gives, Steps, listen
from converge_redis.core.validation import check_id, check_ids, check_seconds
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.waiters import Wait
from converge_redis.tasks.model import Task
from converge_redis.tasks.query import get_tasks
from converge_redis.tasks.submit import AT_ONCE, Entry, lay_out

TaskWait = Wait[str, Task]

SHORT = 1.0
"""With fewer seconds than this, a wait reads the tasks before the time begins to count."""


def wait_until_done(space: Namespace, task_id: str, timeout: float | None) -> Steps[Task | None]:
    """Wait until a task is completed, failed or cancelled.

    Args:
        task_id: The task's id.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot of the terminal task; None when the time is up, or the task is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    check_id("task_id", task_id)
    done = yield from _wait(space, (task_id,), timeout, 1)
    return done.get(task_id)


def wait(space: Namespace, task_id: str, timeout: float | None) -> Steps[Task | None]:
    """Wait as `wait_until_done` does; on the blocking manager, this one blocks.

    Args:
        task_id: The task's id.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot of the terminal task; None when the time is up, or the task is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    return wait_until_done(space, task_id, timeout)


def submit_and_wait(
    space: Namespace, task: Task, timeout: float | None, *, delay: float = AT_ONCE
) -> Steps[Task | None]:
    """Submit a task, and wait until it is completed, failed or cancelled.

    As `submit` and then `wait`, but quicker: the script that stores the task also registers who waits.

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
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    entry = lay_out(space, task, delay)
    ended = yield from listen(partial(_submitted_and_ended, space, entry, timeout))
    return ended[0] if ended else None


def wait_all(space: Namespace, task_ids: Iterable[str], timeout: float | None) -> Steps[list[Task | None]]:
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
    ids = check_ids("task_ids", task_ids)
    done = yield from _wait(space, ids, timeout, len(set(ids)))
    return [done.get(task_id) for task_id in ids]


def wait_any(space: Namespace, task_ids: Iterable[str], timeout: float | None) -> Steps[Task | None]:
    """Wait until one of several tasks is completed, failed or cancelled.

    Args:
        task_ids: The tasks' ids.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot of a terminal task; None when the time is up, or no task is left that is known.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    ids = check_ids("task_ids", task_ids)
    done = yield from _wait(space, ids, timeout, 1)
    return next((done[task_id] for task_id in ids if task_id in done), None)


def as_completed(space: Namespace, task_ids: Iterable[str], timeout: float | None = None) -> Gives[Task]:
    """Iterate over tasks as they end: completed, failed or cancelled.

    Args:
        task_ids: The tasks' ids; each is given once.
        timeout: The most seconds to wait for all of them; None: no limit.

    Returns:
        Snapshots of the terminal tasks, in the order in which this process learns of their ends. Unknown
        tasks are left out.

    Raises:
        TimeoutError: The time was up before all tasks had ended.
        StoreClosedError: The store was closed meanwhile.
    """
    ids = check_ids("task_ids", task_ids)
    ends = None if timeout is None else time.monotonic() + check_seconds("timeout", timeout, zero=True)
    opened: list[tuple[Listener, TaskWait]] = []
    try:
        wait = yield from listen(partial(_begin, ids, opened))
        while True:
            left = None if ends is None else max(ends - time.monotonic(), 0.0)
            ended = yield from listen(partial(_next_ended, wait, left))
            if not ended:
                return
            for task in ended:
                yield Give(task)
    finally:
        for listener, wait in opened:
            listener.end_wait(wait)


async def _begin(
    ids: tuple[str, ...], opened: list[tuple[Listener, TaskWait]], listener: Listener
) -> TaskWait:
    wait = listener.begin_wait(ids, 1)
    opened.append((listener, wait))
    return wait


async def _next_ended(wait: TaskWait, seconds: float | None, _listener: Listener) -> list[Task]:
    async with asyncio.timeout(seconds):
        await wait.over()
    ended, wait.ended = wait.ended, []
    return ended


def _wait(
    space: Namespace, ids: tuple[str, ...], timeout: float | None, enough: int
) -> Steps[dict[str, Task]]:
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    ended: list[Task] = []
    if timeout is not None and timeout < SHORT:
        tasks = yield from get_tasks(space, ids)
        ended = list({task.id: task for task in tasks if task is not None and task.state.terminal}.values())
    if timeout != 0 and len(ended) < enough:
        ended = yield from listen(partial(_ended, ids, timeout, enough))
    return {task.id: task for task in ended}


async def _ended(ids: tuple[str, ...], timeout: float | None, enough: int, listener: Listener) -> list[Task]:
    return await _over(listener.begin_wait(ids, enough), timeout, listener)


async def _submitted_and_ended(
    space: Namespace, entry: Entry, timeout: float | None, listener: Listener
) -> list[Task]:
    return await _over(await listener.submit_and_wait(space, entry), timeout, listener)


async def _over(wait: TaskWait, timeout: float | None, listener: Listener) -> list[Task]:
    try:
        async with asyncio.timeout(timeout):
            await wait.over()
    except TimeoutError:
        pass
    finally:
        listener.end_wait(wait)
    return wait.ended
