"""How a worker ends: whatever it does at that moment, it holds nothing afterwards."""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial

import pytest

from converge_redis import AsyncRedisStore, AsyncTaskManager, Task, Worker
from tests.support.backends import TIMEOUT, Backend, eventually

LEASE = 600.0


@pytest.fixture(params=[1, 4], ids=["1 shard", "4 shards"])
async def store(real: Backend, request: pytest.FixtureRequest) -> AsyncIterator[AsyncRedisStore]:
    url = str(real.url)
    async with AsyncRedisStore.from_url(url, "work", request.param, claim_ttl_sec=LEASE) as store:
        yield store


@pytest.fixture
async def manager(store: AsyncRedisStore) -> AsyncIterator[AsyncTaskManager]:
    manager = AsyncTaskManager(store)
    yield manager
    assert await manager.audit() == []


async def ended(run: "asyncio.Task[None]") -> None:
    """Wait for a worker to end, cancelled or not."""
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.wait_for(run, TIMEOUT)


async def held(manager: AsyncTaskManager) -> int:
    counts = await manager.counts()
    return counts["assigned"] + counts["running"]


async def holds_nothing(manager: AsyncTaskManager) -> bool:
    return await held(manager) == 0


@pytest.mark.parametrize("concurrency", [1, 20])
@pytest.mark.parametrize("drains", [False, True], ids=["cancelled", "drained and cancelled"])
async def test_a_cancelled_worker_holds_nothing(
    store: AsyncRedisStore, manager: AsyncTaskManager, concurrency: int, drains: bool
) -> None:
    """Cancelled in any turn of the event loop."""
    chance = random.Random(7)

    async def handler(_task: Task) -> None:
        await asyncio.sleep(chance.choice([0, 0.001, TIMEOUT]))

    await manager.submit_many(Task() for _ in range(2000))
    for number in range(25):
        worker = Worker(store, f"worker-{number}", handler, concurrency=concurrency)
        run = asyncio.create_task(worker.arun())
        await asyncio.sleep(chance.uniform(0.0, 0.03))
        if drains:
            worker.drain(0)
        for _ in range(number):
            await asyncio.sleep(0)
        run.cancel()
        await ended(run)
        assert await held(manager) == 0


async def test_after_a_second_cancellation_it_still_gives_back(
    store: AsyncRedisStore, manager: AsyncTaskManager
) -> None:
    """Nobody waits for it then, but what is under way goes on."""

    async def handler(_task: Task) -> None:
        await asyncio.sleep(10 * TIMEOUT)

    await manager.submit_many(Task() for _ in range(200))
    for turns in range(8):
        run = asyncio.create_task(Worker(store, f"worker-{turns}", handler, concurrency=20).arun())
        await eventually(partial(held, manager))
        run.cancel()
        for _ in range(turns):
            await asyncio.sleep(0)
        run.cancel()
        await ended(run)
        await eventually(partial(holds_nothing, manager))


async def test_outcomes_of_all_kinds_are_told_at_the_end(
    store: AsyncRedisStore, manager: AsyncTaskManager
) -> None:
    """Each claim has one outcome, also those of the last moment, on every shard."""
    chance = random.Random(11)
    events: list[tuple[str, str, int]] = []

    async def handler(_task: Task) -> str:
        await asyncio.sleep(chance.choice([0, 0.002, 0.01]))
        if chance.random() < 0.3:
            raise ValueError
        return "done"

    def note(event: str, task: Task) -> None:
        events.append((event, task.id, task.claim_token or 0))

    await manager.submit_many(Task() for _ in range(3000))
    for number, grace in enumerate([0.0, 0.005, TIMEOUT] * 4):
        worker = Worker(
            store, f"worker-{number}", handler, concurrency=20, retries=1, backoff_sec=0.01, on_event=note
        )
        run = asyncio.create_task(worker.arun())
        await asyncio.sleep(0.05)
        worker.drain(grace)
        await ended(run)
        assert await held(manager) == 0
    claimed = {(task_id, token) for event, task_id, token in events if event == "claimed"}
    outcomes = Counter((task_id, token) for event, task_id, token in events if event != "claimed")
    assert outcomes == Counter(claimed)
    kinds = Counter(event for event, _, _ in events)
    counts = await manager.counts()
    assert (counts["completed"], counts["failed"]) == (kinds["completed"], kinds["failed"])
    assert kinds["released"] > 0


async def test_a_handler_that_cancels_itself_has_failed(
    store: AsyncRedisStore, manager: AsyncTaskManager
) -> None:
    async def handler(task: Task) -> str:
        if task.attempts == 1:
            raise asyncio.CancelledError
        return "done"

    task_id = await manager.submit(Task())
    worker = Worker(store, "worker", handler, retries=1, backoff_sec=0.01)
    run = asyncio.create_task(worker.arun())
    task = await manager.wait(task_id, TIMEOUT)
    assert task is not None
    assert (task.result, task.attempts) == ("done", 2)
    worker.drain()
    await ended(run)
