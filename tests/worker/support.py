"""Shared steps of the tests of workers: workers in threads, their events, and the renewals of claims."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import redis

from converge_redis import RedisStore, Task, TaskManager, Worker
from tests.support.backends import TIMEOUT, until


class Events(list[tuple[str, str]]):
    """The events of a worker, each with a task id."""

    def __call__(self, event: str, task: Task) -> None:
        self.append((event, task.id))

    def of(self, task_id: str) -> list[str]:
        return [event for event, event_task_id in self if event_task_id == task_id]


@contextlib.contextmanager
def running_worker(store: RedisStore, handler: Any, **options: Any) -> Iterator[tuple[Worker, Events]]:
    """Run a worker in a thread; drain it after the block, and wait until it has ended."""
    events = Events()
    worker = Worker(store, "worker", handler, on_event=events, **options)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker, events
    finally:
        worker.drain()
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def until_waiting(client: redis.Redis) -> None:
    """Return once a worker waits for tasks, and its listener is subscribed."""
    until(lambda: client.keys("*:waiting:*"))


def finished(manager: TaskManager, task_id: str) -> Task:
    """Wait for the end of a task, and return it."""
    task = manager.wait(task_id, timeout=TIMEOUT)
    assert task is not None
    return task


def double(task: Task) -> Any:
    return 2 * task.inputs["number"]


async def double_async(task: Task) -> Any:
    await asyncio.sleep(0)
    return 2 * task.inputs["number"]


def until_renewed(client: redis.Redis, store: RedisStore, task: Task) -> None:
    """Block until the first lease of a claim has ended, and the claim was renewed three times."""
    leases = store._namespace.keys.shard_names(0)["leases"]
    ends = set[float]()

    def is_renewed() -> bool:
        end = client.zscore(leases, task.id)
        assert end is not None, "the lease has expired"
        ends.add(end)
        seconds, microseconds = client.time()
        return len(ends) > 3 and seconds + microseconds / 1e6 > (task.claim_expires_at or 0)

    until(is_renewed)
