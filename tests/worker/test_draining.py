"""The end of a worker: whatever it does at that moment, it holds no claim afterwards."""

import asyncio
import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import pytest

from converge_redis import (
    AsyncRedisStore,
    AsyncTaskManager,
    EmbeddedServer,
    RedisStore,
    Task,
    TaskManager,
    Worker,
)
from tests.support.backends import TIMEOUT, Backend, async_until, eventually, until
from tests.tasks.support import LONG_WAIT
from tests.worker.conftest import LEASE
from tests.worker.support import Events, double, finished, running_worker

# A worker in a thread


def test_a_draining_worker_lets_handlers_finish(store: RedisStore, manager: TaskManager) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handler(_task: Task) -> str:
        begun.set()
        go_on.wait(TIMEOUT)
        return "finished"

    with running_worker(store, handler) as (worker, _):
        first = manager.submit(Task())
        assert begun.wait(TIMEOUT)
        worker.drain()
        second = manager.submit(Task())
        go_on.set()
        assert finished(manager, first).result == "finished"
    unclaimed = manager.get_task(second)
    assert unclaimed is not None
    assert (unclaimed.state, unclaimed.attempts) == ("pending", 0)


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
def test_a_draining_worker_releases_tasks_that_do_not_finish(
    store: RedisStore, manager: TaskManager, kind: str
) -> None:
    begun, end = threading.Event(), threading.Event()

    async def coroutine(_task: Task) -> None:
        begun.set()
        await asyncio.sleep(LONG_WAIT)

    def thread(_task: Task) -> None:
        begun.set()
        end.wait(TIMEOUT)

    with running_worker(store, coroutine if kind == "coroutine" else thread) as (worker, events):
        task_id = manager.submit(Task())
        assert begun.wait(TIMEOUT)
        worker.drain(grace_sec=0.05)
        until(lambda: events.of(task_id) == ["claimed", "released"])
    end.set()
    task = manager.get_task(task_id)
    assert task is not None
    assert (task.state, task.attempts) == ("pending", 0)


def test_an_idle_worker_drains(store: RedisStore) -> None:
    with running_worker(store, double, concurrency=3):
        pass


def test_a_worker_drains_without_a_server() -> None:
    server = EmbeddedServer().start()
    try:
        with RedisStore.from_url(server.url) as store, running_worker(store, double) as (_, events):
            manager = TaskManager(store)
            task_id = manager.submit(Task(inputs={"number": 1}))
            until(lambda: events.of(task_id) == ["claimed", "completed"])
            server.stop()
    finally:
        server.stop()


def test_a_worker_that_drains_while_it_claims_releases_the_tasks(
    store: RedisStore, manager: TaskManager
) -> None:
    ids: list[str] = []

    async def handler(_task: Task) -> None:
        return None

    for moment in range(12):
        ids += manager.submit_many(Task() for _ in range(500))
        events = Events()
        worker = Worker(store, f"worker-{moment}", handler, concurrency=20, on_event=events)
        thread = threading.Thread(target=worker.run)
        thread.start()
        until(lambda: len(events) > 0)  # noqa: B023
        time.sleep(0.002 * moment)
        worker.drain(grace_sec=0.0 if moment % 2 else None)
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        counts = manager.counts()
        assert (counts["assigned"], counts["running"]) == (0, 0)
    counts = manager.counts()
    assert counts["pending"] + counts["completed"] == len(ids)


# A worker in an event loop


@pytest.fixture(params=[1, 4], ids=["1 shard", "4 shards"])
async def async_store(real: Backend, request: pytest.FixtureRequest) -> AsyncIterator[AsyncRedisStore]:
    url = str(real.url)
    async with AsyncRedisStore.from_url(url, "work", request.param, claim_ttl_sec=LEASE) as store:
        yield store


@pytest.fixture
async def async_manager(async_store: AsyncRedisStore) -> AsyncIterator[AsyncTaskManager]:
    manager = AsyncTaskManager(async_store)
    yield manager
    assert await manager.audit() == []


async def ended(run: "asyncio.Task[None]") -> None:
    """Wait until a worker has ended, cancelled or not."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(run, TIMEOUT)


async def claimed(manager: AsyncTaskManager) -> int:
    """Return the number of claimed tasks."""
    counts = await manager.counts()
    return counts["assigned"] + counts["running"]


async def none_is_claimed(manager: AsyncTaskManager) -> bool:
    return await claimed(manager) == 0


@pytest.mark.parametrize("concurrency", [1, 20])
@pytest.mark.parametrize("drain", [False, True], ids=["cancelled", "drained and cancelled"])
async def test_a_worker_that_is_cancelled_at_any_moment_holds_no_claim(
    async_store: AsyncRedisStore, async_manager: AsyncTaskManager, concurrency: int, drain: bool
) -> None:
    chance = random.Random(7)

    async def handler(_task: Task) -> None:
        await asyncio.sleep(chance.choice([0, 0.001, LONG_WAIT]))

    await async_manager.submit_many(Task() for _ in range(2000))
    for number in range(25):
        worker = Worker(async_store, f"worker-{number}", handler, concurrency=concurrency)
        run = asyncio.create_task(worker.arun())
        await asyncio.sleep(chance.uniform(0.0, 0.03))
        if drain:
            worker.drain(0)
        for _ in range(number):
            await asyncio.sleep(0)
        run.cancel()
        await ended(run)
        assert await claimed(async_manager) == 0


async def test_a_worker_that_is_cancelled_twice_still_releases_its_tasks(
    async_store: AsyncRedisStore, async_manager: AsyncTaskManager
) -> None:
    """It does not wait for the releases, which go on."""

    async def handler(_task: Task) -> None:
        await asyncio.sleep(LONG_WAIT)

    await async_manager.submit_many(Task() for _ in range(200))
    for turns in range(8):
        run = asyncio.create_task(Worker(async_store, f"worker-{turns}", handler, concurrency=20).arun())
        await eventually(partial(claimed, async_manager))
        run.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        run.cancel()
        await ended(run)
        await eventually(partial(none_is_claimed, async_manager))


async def test_each_claim_has_one_outcome(
    async_store: AsyncRedisStore, async_manager: AsyncTaskManager
) -> None:
    """Also the claims of the last moment, on every shard."""
    chance = random.Random(11)
    events: list[tuple[str, str, int]] = []

    async def handler(_task: Task) -> str:
        await asyncio.sleep(chance.choice([0, 0.002, 0.01]))
        if chance.random() < 0.3:
            raise ValueError
        return "done"

    def on_event(event: str, task: Task) -> None:
        events.append((event, task.id, task.claim_token or 0))

    for number, grace_sec in enumerate([0.0, 0.005, TIMEOUT] * 4):
        worker = Worker(
            async_store,
            f"worker-{number}",
            handler,
            concurrency=20,
            retries=1,
            backoff_sec=0.01,
            on_event=on_event,
        )
        await async_manager.submit_many(Task() for _ in range(500))
        before = len(events)
        run = asyncio.create_task(worker.arun())
        await async_until(lambda: len(events) > before)  # noqa: B023
        await asyncio.sleep(0.05)
        worker.drain(grace_sec)
        await ended(run)
        assert await claimed(async_manager) == 0
    claims = {(task_id, token) for event, task_id, token in events if event == "claimed"}
    outcomes = Counter((task_id, token) for event, task_id, token in events if event != "claimed")
    assert outcomes == Counter(claims)
    kinds = Counter(event for event, _, _ in events)
    counts = await async_manager.counts()
    assert (counts["completed"], counts["failed"]) == (kinds["completed"], kinds["failed"])
    assert kinds["released"] > 0


async def test_a_handler_that_cancels_its_own_task_has_failed(
    async_store: AsyncRedisStore, async_manager: AsyncTaskManager
) -> None:
    async def handler(task: Task) -> str:
        if task.attempts == 1:
            raise asyncio.CancelledError
        return "done"

    task_id = await async_manager.submit(Task())
    worker = Worker(async_store, "worker", handler, retries=1, backoff_sec=0.01)
    run = asyncio.create_task(worker.arun())
    task = await async_manager.wait(task_id, TIMEOUT)
    assert task is not None
    assert (task.result, task.attempts) == ("done", 2)
    worker.drain()
    await ended(run)


async def test_a_cancelled_worker_releases_its_task(real: Backend) -> None:
    begun = asyncio.Event()

    async def handler(_task: Task) -> None:
        begun.set()
        await asyncio.sleep(LONG_WAIT)

    async with AsyncRedisStore.from_url(str(real.url), "work") as store:
        running = asyncio.create_task(Worker(store, "worker", handler).arun())
        with RedisStore.from_url(str(real.url), "work") as blocking:
            manager = TaskManager(blocking)
            task_id = await asyncio.to_thread(manager.submit, Task())
            await asyncio.wait_for(begun.wait(), TIMEOUT)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            task = await asyncio.to_thread(manager.get_task, task_id)
    assert task is not None
    assert (task.state, task.attempts) == ("pending", 0)
