"""Verbs that wait for tasks to end: by push from the server, never by polling."""

from collections.abc import Iterable
from functools import partial

from converge_redis.checks import check_id, check_ids, check_seconds
from converge_redis.namespace import Namespace
from converge_redis.operation import Listening, Steps, listen
from converge_redis.operations.reading import get_tasks
from converge_redis.task import Task

SHORT = 1.0
"""With fewer seconds than this, a wait reads the tasks before it subscribes: later there may be no time."""


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


def _wait(
    space: Namespace, ids: tuple[str, ...], timeout: float | None, enough: int
) -> Steps[dict[str, Task]]:
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    done: dict[str, Task] = {}
    if timeout is not None and timeout < SHORT:
        tasks = yield from get_tasks(space, ids)
        done = {task.id: task for task in tasks if task is not None and task.state.terminal}
    if timeout != 0 and len(done) < enough:
        done = yield from listen(partial(_done, ids, timeout, enough))
    return done


async def _done(
    ids: tuple[str, ...], timeout: float | None, enough: int, listener: Listening
) -> dict[str, Task]:
    return await listener.wait_until_done(ids, timeout, enough)
