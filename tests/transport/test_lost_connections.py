"""Connections are killed while calls are in flight: each call is sent again, and takes effect once."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import pytest
import redis

from converge_redis import AsyncRedisStore, AsyncTaskManager, RedisStore, Task, TaskManager, TaskState
from tests.support.backends import TIMEOUT, Backend, async_until, until

CALLS = 200
THREADS = 8


@contextmanager
def paused(client: redis.Redis) -> Iterator[None]:
    """Pause the server during the block: it holds back all scripts, as they may write."""
    client.client_pause(int(TIMEOUT * 1000), all=False)
    try:
        yield
    finally:
        client.client_unpause()


def held_connections(client: redis.Redis) -> int:
    """Return the number of connections with a call that the paused server holds back."""
    return sum("b" in cast("Any", each)["flags"] for each in client.client_list())


def held_bytes(client: redis.Redis) -> int:
    """Return the size of the calls that the paused server has received; it grows with each call."""
    return sum(
        int(cast("Any", each)["qbuf"]) + int(cast("Any", each)["argv-mem"])
        for each in client.client_list()
        if "b" in cast("Any", each)["flags"]
    )


def kill(client: redis.Redis, kind: str) -> bool:
    """Kill all other connections of a kind; return whether there was one."""
    return client.client_kill_filter(_type=kind, skipme=True) >= 1


async def call(manager: AsyncTaskManager, number: int) -> str:
    """Submit a task or read one, by turns; return its id, as the reply has it."""
    if number % 2:
        return await manager.submit(Task(id=f"new {number}"))
    task = await manager.get_task(f"old {number}")
    assert task is not None
    assert task.inputs == {"number": number}
    return task.id


async def manager_with_tasks(store: AsyncRedisStore) -> AsyncTaskManager:
    """Make a manager, and submit the tasks that `call` reads."""
    manager = AsyncTaskManager(store)
    await manager.submit_many(
        Task(id=f"old {number}", inputs={"number": number}) for number in range(0, CALLS, 2)
    )
    return manager


RESULTS = [f"{'new' if number % 2 else 'old'} {number}" for number in range(CALLS)]


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("is_new", [False, True])
async def test_calls_in_flight_are_sent_again(real: Backend, kills: int, is_new: bool) -> None:
    """Also when the retry is lost; on a connection that was there, and on the first one of a store."""
    client = real.client()
    async with (
        AsyncRedisStore.from_url(str(real.url)) as other,
        AsyncRedisStore.from_url(str(real.url)) as store,
    ):
        other_manager, manager = await manager_with_tasks(other), AsyncTaskManager(store)
        if not is_new:
            await manager.counts()
        with paused(client):
            calls = [asyncio.create_task(call(manager, number)) for number in range(CALLS)]
            for _ in range(kills):
                await async_until(lambda: held_connections(client) >= 1)
                assert kill(client, "normal")
            assert not any(each.done() for each in calls)
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*calls) == RESULTS
        assert (await other_manager.counts())["pending"] == CALLS, "no task is lost, none is submitted twice"


@pytest.mark.parametrize("kills", [1, 2])
async def test_calls_queued_for_the_only_connection_survive_its_loss(real: Backend, kills: int) -> None:
    """A call of the same store that waits for a task survives the loss of the subscribed connection."""
    client = real.client()
    async with (
        AsyncRedisStore.from_url(str(real.url), max_connections=1) as store,
        AsyncRedisStore.from_url(str(real.url)) as other,
    ):
        manager, other_manager = AsyncTaskManager(store), await manager_with_tasks(other)
        task_id = await other_manager.submit(Task())
        waiting = asyncio.create_task(manager.wait(task_id, TIMEOUT * 2))
        keys = store._namespace.keys
        watchers = keys.shard_names(keys.shard_of(task_id))["watchers:"] + task_id
        await async_until(lambda: client.exists(watchers))
        await async_until(lambda: client.pubsub_channels("*"))
        with paused(client):
            assert kill(client, "normal")
            assert kill(client, "pubsub")
            calls = [asyncio.create_task(call(manager, 0))]  # takes the only connection, made anew
            await async_until(lambda: held_connections(client) >= 1)
            calls += [asyncio.create_task(call(manager, number)) for number in range(1, CALLS)]
            for _ in range(kills):
                await asyncio.sleep(0)  # so that the calls are queued
                await async_until(lambda: held_connections(client) >= 1)
                assert kill(client, "normal")
            assert not any(each.done() for each in calls)
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*calls) == RESULTS
            assert not waiting.done()
            assert await other_manager.claim("a", task_id) is True
            assert await other_manager.report("a", task_id, "result") is True
            ended = await waiting
        assert ended is not None
        assert (ended.state, ended.result) == (TaskState.COMPLETED, "result")
        assert (await other_manager.counts())["pending"] == CALLS


async def test_calls_queued_behind_a_cancelled_call_survive_the_loss_of_its_connection(real: Backend) -> None:
    """The cancelled call is not sent again."""
    client = real.client()
    async with (
        AsyncRedisStore.from_url(str(real.url), max_connections=1) as store,
        AsyncRedisStore.from_url(str(real.url)) as other,
    ):
        manager, other_manager = AsyncTaskManager(store), await manager_with_tasks(other)
        await manager.counts()
        with paused(client):
            assert kill(client, "normal")
            cancelled = asyncio.create_task(call(manager, 0))
            await async_until(lambda: held_connections(client) >= 1)
            calls = [asyncio.create_task(call(manager, number)) for number in range(1, CALLS)]
            await asyncio.sleep(0)  # so that the calls are queued
            cancelled.cancel()
            await asyncio.sleep(0)
            assert kill(client, "normal")
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*calls) == RESULTS[1:]
        assert cancelled.cancelled()
        assert (await other_manager.counts())["pending"] == CALLS


def results_of(threads: ThreadPoolExecutor, function: Callable[[int], Any]) -> list[Any]:
    """Call a function in all threads at the same time, with the thread's number."""
    futures = [threads.submit(function, number) for number in range(THREADS)]
    return [future.result(TIMEOUT) for future in futures]


def test_blocking_calls_survive_the_loss_of_all_idle_connections(real: Backend) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(THREADS) as threads:
        manager = TaskManager(store)
        barrier = threading.Barrier(THREADS, timeout=TIMEOUT)

        def submit(number: int) -> str:
            barrier.wait()  # so that each thread needs a connection
            return manager.submit(Task(id=f"{turn} {number}"))

        for turn in range(6):
            assert results_of(threads, submit) == [f"{turn} {number}" for number in range(THREADS)]
            assert kill(client, "normal")
        assert manager.counts()["pending"] == 6 * THREADS


@pytest.mark.parametrize("kills", [1, 2])
def test_blocking_calls_in_flight_are_sent_again(real: Backend, kills: int) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(THREADS) as threads:
        manager = TaskManager(store)
        ids = manager.submit_many(Task(inputs={"number": number}) for number in range(THREADS))

        def claim_or_read(number: int) -> Any:
            if number % 2:
                return manager.claim("a", ids[number])
            task = manager.get_task(ids[number])
            return task and task.inputs["number"]

        with paused(client):
            calls = [threads.submit(claim_or_read, number) for number in range(THREADS)]
            for _ in range(kills):
                until(lambda: held_connections(client) == THREADS)
                assert kill(client, "normal")
        results = [each.result(TIMEOUT) for each in calls]
        assert results == [True if number % 2 else number for number in range(THREADS)]
        assert manager.counts()["assigned"] == THREADS // 2


def all_above(counts: list[int], before: list[int]) -> bool:
    return all(count > earlier for count, earlier in zip(counts, before, strict=True))


def test_a_stream_of_blocking_calls_survives_lost_connections(real: Backend) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(THREADS) as threads:
        manager = TaskManager(store)
        submitted = [0] * THREADS
        is_over = threading.Event()

        def submit(number: int) -> None:
            while not is_over.is_set():
                manager.submit(Task())
                submitted[number] += 1

        calls = [threads.submit(submit, number) for number in range(THREADS)]
        try:
            for _ in range(30):
                # Between two kills each thread ends a call: a call has a limited number of retries.
                until(partial(all_above, submitted, list(submitted)))
                client.client_kill_filter(_type="normal", skipme=True)
        finally:
            is_over.set()
        for each in calls:
            each.result(TIMEOUT)
        assert manager.counts()["pending"] == sum(submitted)
