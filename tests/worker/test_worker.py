"""A worker runs a handler for each task, and reports what the handler returns or raises."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from converge_redis import (
    AsyncRedisStore,
    InvalidTypeError,
    InvalidValueError,
    RedisStore,
    Task,
    TaskFailure,
    TaskManager,
    TryLater,
    Worker,
    current_claim,
)
from tests.support.backends import TIMEOUT, Backend, until
from tests.worker.support import double, double_async, finished, running_worker


class Doubler:
    """An object that can be called."""

    async def __call__(self, task: Task) -> Any:
        return await double_async(task)


@pytest.mark.parametrize("handler", [double, double_async, Doubler()])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_results_are_reported(
    store: RedisStore, manager: TaskManager, handler: Callable[[Task], Any], concurrency: int
) -> None:
    ids = manager.submit_many([Task(inputs={"number": number}) for number in range(20)])
    with running_worker(store, handler, concurrency=concurrency) as (_, events):
        late = manager.submit(Task(inputs={"number": 20}))
        results = [finished(manager, task_id).result for task_id in [*ids, late]]
        until(lambda: len(events) == 42)
    assert results == [2 * number for number in range(21)]
    assert events.of(late) == ["claimed", "completed"]
    assert all(task and task.assigned_to == "worker" for task in manager.get_tasks(ids))


def test_handlers_run_concurrently(store: RedisStore, manager: TaskManager) -> None:
    barrier = threading.Barrier(4)
    ids = manager.submit_many([Task() for _ in range(4)])
    with running_worker(store, lambda _task: barrier.wait(TIMEOUT) >= 0, concurrency=4):
        assert [finished(manager, task_id).result for task_id in ids] == [True] * 4


def test_a_worker_claims_only_tasks_that_its_filters_allow(store: RedisStore, manager: TaskManager) -> None:
    other = manager.submit(Task(topic="other"))
    hard = manager.submit(Task(topic="mine", required_capabilities=["magic"]))
    mine = manager.submit(Task(topic="mine", required_capabilities=["reading"]))
    with running_worker(store, lambda _task: "done", topics=["mine"], capabilities=["reading"]):
        assert finished(manager, mine).result == "done"
    assert [task and task.state for task in manager.get_tasks([other, hard])] == ["pending", "pending"]


def test_an_exception_fails_the_task_with_its_traceback(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise KeyError("what is missing")

    with running_worker(store, handler):
        task = finished(manager, manager.submit(Task()))
    assert task.state == "failed"
    reason = task.result
    assert (reason["reason"], reason["type"], reason["attempts"]) == ("exception", "builtins.KeyError", 1)
    assert "what is missing" in reason["message"]
    assert 'raise KeyError("what is missing")' in reason["traceback"]


def test_a_handler_that_raises_is_retried(store: RedisStore, manager: TaskManager) -> None:
    attempts = []

    def handler(task: Task) -> str:
        attempts.append(task.attempts)
        if task.attempts < 3:
            raise OSError("not yet")
        return "at last"

    with running_worker(store, handler, retries=2, backoff_sec=0.02) as (_, events):
        task_id = manager.submit(Task())
        assert finished(manager, task_id).result == "at last"
        until(lambda: len(events) == 6)
    assert attempts == [1, 2, 3]
    assert events.of(task_id) == ["claimed", "released", "claimed", "released", "claimed", "completed"]


def test_a_task_fails_when_its_retries_are_used_up(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise OSError("never")

    with running_worker(store, handler, retries=2, backoff_sec=0.01):
        task = finished(manager, manager.submit(Task()))
    assert (task.state, task.result["attempts"]) == ("failed", 3)


def test_a_task_failure_is_not_retried(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise TaskFailure({"code": 7})

    with running_worker(store, handler, retries=5):
        task = finished(manager, manager.submit(Task()))
    assert (task.state, task.result, task.attempts) == ("failed", {"code": 7}, 1)


def test_try_later_does_not_use_up_an_attempt(store: RedisStore, manager: TaskManager) -> None:
    attempts = []

    def handler(task: Task) -> str:
        attempts.append(task.attempts)
        if len(attempts) < 3:
            raise TryLater(0.02)
        return "now"

    with running_worker(store, handler):
        assert finished(manager, manager.submit(Task())).result == "now"
    assert attempts == [1, 1, 1]


@pytest.mark.parametrize("unstorable", [object(), float, {1: {2: object()}}])
def test_an_unstorable_result_fails_the_task(
    store: RedisStore, manager: TaskManager, unstorable: object
) -> None:
    with running_worker(store, lambda _task: unstorable):
        task = finished(manager, manager.submit(Task()))
    assert task.state == "failed"
    assert task.result["type"].startswith("converge_redis.errors.Invalid")


def test_an_unstorable_reason_fails_the_task(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise TaskFailure(object())

    with running_worker(store, handler):
        task = finished(manager, manager.submit(Task()))
    assert (task.state, task.result["reason"]) == ("failed", "exception")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, StopIteration])
def test_a_handler_cannot_end_the_worker(
    store: RedisStore, manager: TaskManager, error: type[BaseException]
) -> None:
    def handler(task: Task) -> str:
        if task.id == "bad":
            raise error
        return "fine"

    with running_worker(store, handler):
        manager.submit(Task(id="bad"))
        assert finished(manager, "bad").state == "failed"
        assert finished(manager, manager.submit(Task())).result == "fine"


def test_a_task_that_cannot_be_read_affects_no_other(
    real: Backend, store: RedisStore, manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    ids = manager.submit_many(Task(id=f"{number}", inputs={"number": number}) for number in range(6))
    key = store._namespace.keys.shard_names(0)["t:"] + ids[2]
    client: Any = real.client()
    head, _, spec = client.get(key).partition(b"\n")
    client.set(key, head + b"\n" + b"\xc1" * len(spec))  # not MessagePack
    with running_worker(store, double, concurrency=10):
        for task_id in [*ids[:2], *ids[3:]]:
            assert finished(manager, task_id).result == 2 * int(task_id)
    assert "cannot read" in caplog.text
    manager.cancel_task(ids[2])


async def test_a_worker_may_share_an_asyncio_store(real: Backend) -> None:
    async with AsyncRedisStore.from_url(str(real.url), "work") as store:
        worker = Worker(store, "worker", double_async)
        running = asyncio.create_task(worker.arun())
        with RedisStore.from_url(str(real.url), "work") as blocking:
            manager = TaskManager(blocking)
            task_id = await asyncio.to_thread(manager.submit, Task(inputs={"number": 4}))
            task = await manager.wait_until_done(task_id, TIMEOUT)
        assert task is not None
        assert task.result == 8
        worker.drain()
        await running


@pytest.mark.parametrize(
    ("argument", "error", "name"),
    [
        ({"handler": "module:handler"}, InvalidTypeError, "handler"),
        ({"store": "redis://"}, InvalidTypeError, "store"),
        ({"agent_id": ""}, InvalidValueError, "agent_id"),
        ({"concurrency": 0}, InvalidValueError, "concurrency"),
        ({"concurrency": 1.5}, InvalidTypeError, "concurrency"),
        ({"retries": -1}, InvalidValueError, "retries"),
        ({"backoff_sec": float("nan")}, InvalidValueError, "backoff_sec"),
        ({"grace_sec": -1}, InvalidValueError, "grace_sec"),
    ],
)
def test_malformed_arguments_are_refused(
    store: RedisStore, argument: dict[str, Any], error: type[Exception], name: str
) -> None:
    arguments: dict[str, Any] = {"store": store, "agent_id": "a", "handler": double} | argument
    with pytest.raises(error, match=name):
        Worker(**arguments)


def test_outside_of_a_handler_there_is_no_current_claim() -> None:
    with pytest.raises(LookupError):
        current_claim()
