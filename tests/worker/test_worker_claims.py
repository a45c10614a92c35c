"""The claims of a worker: how many it holds, how they are renewed, and what happens when one is lost."""

import asyncio
import threading
import time
from typing import Any

import pytest

from converge_redis import RedisStore, Task, TaskCancelledError, TaskManager, current_claim
from tests.support.backends import TIMEOUT, Backend, until
from tests.support.records import edited
from tests.tasks.support import LONG_WAIT, subscribed_clients
from tests.worker.support import double_async, finished, running_worker, until_renewed, until_waiting

SHORT_LEASE = {"claim_ttl_sec": 2.0}
"""Short enough to wait for its end, long enough for the renewals of a busy machine."""


# Renewal


def test_claims_are_renewed_while_a_handler_runs_in_a_thread(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    client = real.client()

    def handler(task: Task) -> str:
        until_renewed(client, store, task)
        return "slow"

    with running_worker(store, handler):
        task = finished(manager, manager.submit(Task(constraints=SHORT_LEASE)))
    assert (task.result, task.attempts) == ("slow", 1)


def test_claims_are_renewed_while_a_handler_blocks_the_event_loop(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    client = real.client()

    async def handler(task: Task) -> str:
        until_renewed(client, store, task)
        return "blocking"

    with running_worker(store, handler):
        task = finished(manager, manager.submit(Task(constraints=SHORT_LEASE)))
    assert (task.result, task.attempts) == ("blocking", 1)


# Lost claims


def test_a_cancelled_task_cancels_its_coroutine(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    cancelled = threading.Event()
    begun = threading.Event()

    async def handler(_task: Task) -> None:
        begun.set()
        try:
            await asyncio.sleep(LONG_WAIT)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with running_worker(store, handler) as (_, events):
        until_waiting(real.client())
        task_id = manager.submit(Task())
        assert begun.wait(TIMEOUT)
        assert manager.cancel_task(task_id)
        assert cancelled.wait(TIMEOUT)
        until(lambda: events.of(task_id) == ["claimed", "lost"])
    assert finished(manager, task_id).state == "cancelled"


def test_a_cancelled_task_ends_the_wait_of_its_thread(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    begun = threading.Event()
    errors = []

    def handler(_task: Task) -> None:
        begun.set()
        claim = current_claim()
        claim.wait_lost(TIMEOUT)
        errors.append(claim.error)
        claim.check()

    with running_worker(store, handler) as (_, events):
        until_waiting(real.client())
        task_id = manager.submit(Task())
        assert begun.wait(TIMEOUT)
        manager.cancel_task(task_id)
        until(lambda: events.of(task_id) == ["claimed", "lost"])
    assert [type(error) for error in errors] == [TaskCancelledError]


def test_a_worker_verifies_its_claims_after_a_reconnect(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    """The message about a cancellation is lost, and no renewal is due."""
    begun = threading.Event()
    client: Any = real.client()

    async def handler(_task: Task) -> None:
        begun.set()
        await asyncio.sleep(LONG_WAIT)

    with running_worker(store, handler) as (_, events):
        task_id = manager.submit(Task())
        assert begun.wait(TIMEOUT)
        (listener,) = until(lambda: subscribed_clients(client))
        key = store._namespace.keys.shard_names(0)["t:"] + task_id
        client.set(key, edited(client.get(key), listener="another"))
        manager.cancel_task(task_id)  # notifies the other listener
        assert client.client_kill_filter(_id=listener["id"]) == 1
        until(lambda: events.of(task_id) == ["claimed", "lost"])


def test_the_timeout_of_a_task_ends_its_handler(store: RedisStore, manager: TaskManager) -> None:
    attempts = []

    async def handler(task: Task) -> str:
        attempts.append(task.attempts)
        if len(attempts) == 1:
            await asyncio.sleep(LONG_WAIT)
        return "the second time"

    with running_worker(store, handler) as (_, events):
        task_id = manager.submit(Task(constraints={"timeout_sec": 0.5}))
        assert finished(manager, task_id).result == "the second time"
        until(lambda: events.of(task_id).count("completed") == 1)
    assert "lost" in events.of(task_id)


def test_tasks_that_were_claimed_ahead_are_cancelled_too(store: RedisStore, manager: TaskManager) -> None:
    """While there are always more tasks, a worker claims the next ones before it decodes the last ones."""
    begun = set[str]()

    async def handler(task: Task) -> None:
        begun.add(task.id)
        await asyncio.sleep(LONG_WAIT)

    manager.submit_many(Task() for _ in range(8))
    with running_worker(store, handler, concurrency=4, grace_sec=0.0) as (_, events):
        until(lambda: len(begun) == 4)
        first = list(begun)
        for task_id in first:
            manager.cancel_task(task_id)
        until(lambda: all(events.of(task_id) == ["claimed", "lost"] for task_id in first))


# How many claims


@pytest.mark.parametrize("concurrency", [1, 2, 3, 10])
def test_a_worker_claims_no_more_tasks_than_it_can_work_on(
    store: RedisStore, manager: TaskManager, concurrency: int
) -> None:
    lock, running, max_running = threading.Lock(), 0, 0
    claimed: list[int] = []

    def handler(task: Task) -> int:
        nonlocal running, max_running
        with lock:
            running += 1
            max_running = max(max_running, running)
        counts = manager.counts()
        claimed.append(counts["assigned"] + counts["running"])
        with lock:
            running -= 1
        return int(task.inputs["number"])

    ids = manager.submit_many(Task(inputs={"number": number}) for number in range(60))
    with running_worker(store, handler, concurrency=concurrency):
        for task_id in ids:
            finished(manager, task_id)
    assert max_running <= concurrency
    # The next task may run while the report of a result is in flight.
    assert max(claimed) <= 2 * concurrency
    assert manager.counts()["completed"] == 60


def test_an_idle_worker_sends_no_claims(real: Backend, store: RedisStore, manager: TaskManager) -> None:
    client: Any = real.client()

    def calls() -> int:
        return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])

    def is_quiet() -> bool:
        before = calls()
        time.sleep(0.1)
        return calls() == before

    with running_worker(store, double_async, concurrency=10) as (_, events):
        for task_id in manager.submit_many(Task(inputs={"number": number}) for number in range(35)):
            finished(manager, task_id)
        until(lambda: len(events) == 70)
        until_waiting(client)
        until(is_quiet)
        before = calls()
        time.sleep(0.5)
        assert calls() - before <= 2
