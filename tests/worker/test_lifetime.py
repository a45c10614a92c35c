"""Workers as context managers, and their ends."""

import asyncio
import threading

import pytest

from converge_redis import (
    AsyncRedisStore,
    ConfigurationError,
    InvalidTypeError,
    RedisStore,
    Task,
    TaskManager,
    TaskState,
    Worker,
)
from tests.support.backends import TIMEOUT, Backend, until


def test_a_worker_runs_inside_its_block_and_drains_at_the_end(
    store: RedisStore, manager: TaskManager
) -> None:
    begun, finish = threading.Event(), threading.Event()

    def handler(task: Task) -> str:
        begun.set()
        assert finish.wait(TIMEOUT)
        return "done"

    task_id = manager.submit(Task())
    with Worker(store, "worker", handler):
        assert begun.wait(TIMEOUT)
        finish.set()
    task = manager.get_task(task_id)
    assert task is not None
    assert task.result_or_raise() == "done"
    later = manager.submit(Task())
    assert manager.claim("other", later), "the worker claims nothing after its block"


async def test_a_worker_runs_inside_its_asynchronous_block(real: Backend, manager: TaskManager) -> None:
    task_id = manager.submit(Task())
    finished = asyncio.Event()

    async def handler(task: Task) -> str:
        finished.set()
        return "done"

    async with (
        AsyncRedisStore.from_url(str(real.url), "work") as store,
        Worker(store, "worker", handler),
    ):
        await asyncio.wait_for(finished.wait(), TIMEOUT)
    task = manager.get_task(task_id)
    assert task is not None
    assert task.result_or_raise() == "done"


def test_a_stopped_worker_releases_its_tasks_without_grace(store: RedisStore, manager: TaskManager) -> None:
    begun, end = threading.Event(), threading.Event()

    def handler(task: Task) -> None:
        begun.set()
        end.wait(TIMEOUT)

    task_id = manager.submit(Task())
    worker = Worker(store, "worker", handler, grace_sec=TIMEOUT)
    thread = threading.Thread(target=worker.run)
    thread.start()
    assert begun.wait(TIMEOUT)
    worker.stop()

    def is_pending() -> bool:
        task = manager.get_task(task_id)
        return task is not None and task.state is TaskState.PENDING

    until(is_pending)
    end.set()
    thread.join(TIMEOUT)
    assert not thread.is_alive()


def test_the_decorator_registers_the_handler(store: RedisStore, manager: TaskManager) -> None:
    worker = Worker(store, "worker")

    @worker.handler
    def double(task: Task) -> int:
        return 2 * int(task.inputs["number"])

    assert double(Task(inputs={"number": 2})) == 4, "the function is unchanged"
    task_id = manager.submit(Task(inputs={"number": 21}))
    with worker:
        task = manager.wait(task_id, TIMEOUT)
    assert task is not None
    assert task.result_or_raise() == 42


def test_a_worker_without_a_handler_does_not_run(store: RedisStore) -> None:
    with pytest.raises(ConfigurationError, match="handler"):
        Worker(store, "worker").run()
    with pytest.raises(InvalidTypeError, match="handler"):
        Worker(store, "worker").handler(None)  # type: ignore[type-var]


def test_an_error_of_the_run_is_raised_at_the_end_of_the_block() -> None:
    store = RedisStore.from_url("unix:///nonexistent/socket", "work")
    with pytest.raises(ConnectionError), Worker(store, "worker", print):
        pass
    store.close()
