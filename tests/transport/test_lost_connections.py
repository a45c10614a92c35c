"""Connections are killed while calls are under way: each is sent again, and has its one effect and result."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, cast

import pytest
import redis

from converge_redis import AsyncRedisStore, AsyncTaskManager, RedisStore, Task, TaskManager, TaskState
from tests.support.backends import TIMEOUT, Backend, eventually, until

CALLS = 200
THREADS = 8


@contextmanager
def paused(client: redis.Redis) -> Iterator[None]:
    """The server holds back every script, as they may write; it still obeys this client."""
    client.client_pause(int(TIMEOUT * 1000), all=False)
    try:
        yield
    finally:
        client.client_unpause()


def held_back(client: redis.Redis) -> int:
    """The number of connections with a call that the server holds back."""
    return sum("b" in cast("Any", each)["flags"] for each in client.client_list())


def held_bytes(client: redis.Redis) -> int:
    """The bytes of the calls that the server has received and holds back; they grow with each call."""
    return sum(
        int(cast("Any", each)["qbuf"]) + int(cast("Any", each)["argv-mem"])
        for each in client.client_list()
        if "b" in cast("Any", each)["flags"]
    )


def kill_all(client: redis.Redis, *kinds: str) -> None:
    for kind in kinds:
        assert client.client_kill_filter(_type=kind, skipme=True) >= 1


async def call(manager: AsyncTaskManager, number: int) -> str:
    """A call of one kind or another; returns the id that its result tells of."""
    if number % 2:
        return await manager.submit(Task(id=f"new {number}"))
    task = await manager.get_task(f"old {number}")
    assert task is not None
    assert task.inputs == {"number": number}
    return task.id


async def with_tasks(store: AsyncRedisStore) -> AsyncTaskManager:
    """A manager with the tasks that `call` reads."""
    manager = AsyncTaskManager(store)
    await manager.submit_many(
        Task(id=f"old {number}", inputs={"number": number}) for number in range(0, CALLS, 2)
    )
    return manager


WANTED = [f"{'new' if number % 2 else 'old'} {number}" for number in range(CALLS)]


@pytest.mark.parametrize("kills", [1, 2])
@pytest.mark.parametrize("is_new", [False, True])
async def test_calls_in_flight_are_sent_again(real: Backend, kills: int, is_new: bool) -> None:
    """Also when they are lost a second time; with a connection that was there, and with the first one."""
    client = real.client()
    async with (
        AsyncRedisStore.from_url(str(real.url)) as other,
        AsyncRedisStore.from_url(str(real.url)) as store,
    ):
        manager = await with_tasks(other)
        here = AsyncTaskManager(store)
        if not is_new:
            await here.counts()

        async def are_held_back() -> bool:
            return held_back(client) >= 1

        with paused(client):
            calls = [asyncio.create_task(call(here, number)) for number in range(CALLS)]
            for _ in range(kills):
                await eventually(are_held_back)
                kill_all(client, "normal")
            assert not any(each.done() for each in calls)
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*calls) == WANTED
        assert (await manager.counts())["pending"] == CALLS  # none was submitted twice, none was lost


@pytest.mark.parametrize("kills", [1, 2])
async def test_calls_that_wait_for_the_only_connection(real: Backend, kills: int) -> None:
    """While the same store waits for a task: the wait too outlives its connection."""
    client = real.client()
    async with (
        AsyncRedisStore.from_url(str(real.url), max_connections=1) as store,
        AsyncRedisStore.from_url(str(real.url)) as other,
    ):
        manager, there = AsyncTaskManager(store), await with_tasks(other)
        task_id = await there.submit(Task())
        waiting = asyncio.create_task(manager.wait(task_id, TIMEOUT))
        watchers = (
            store._namespace.keys.shard_names(store._namespace.keys.shard_of(task_id))["watchers:"] + task_id
        )

        async def is_watched() -> bool:
            return bool(client.exists(watchers))

        async def are_held_back() -> bool:
            return held_back(client) >= 1

        await eventually(is_watched)
        with paused(client):
            kill_all(client, "normal", "pubsub")
            calls = [asyncio.create_task(call(manager, 0))]  # it makes the connection anew, and has it
            await eventually(are_held_back)
            calls += [asyncio.create_task(call(manager, number)) for number in range(1, CALLS)]
            for _ in range(kills):
                await asyncio.sleep(0)  # they have been made
                await eventually(are_held_back)
                kill_all(client, "normal")
            assert not any(each.done() for each in calls)
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*calls) == WANTED
            assert not waiting.done()
            assert await there.claim("a", task_id) is True
            assert await there.report("a", task_id, "result") is True
            ended = await waiting
        assert ended is not None
        assert (ended.state, ended.result) == (TaskState.COMPLETED, "result")
        assert (await there.counts())["pending"] == CALLS


async def test_calls_that_wait_behind_one_that_was_given_up(real: Backend) -> None:
    """The connection of a call that nobody awaits dies: nobody sends that one again, and the others go on."""
    client = real.client()
    async with (
        AsyncRedisStore.from_url(str(real.url), max_connections=1) as store,
        AsyncRedisStore.from_url(str(real.url)) as other,
    ):
        manager, there = AsyncTaskManager(store), await with_tasks(other)

        async def are_held_back() -> bool:
            return held_back(client) >= 1

        await manager.counts()
        with paused(client):
            kill_all(client, "normal")
            given_up = asyncio.create_task(call(manager, 0))
            await eventually(are_held_back)
            calls = [asyncio.create_task(call(manager, number)) for number in range(1, CALLS)]
            await asyncio.sleep(0)  # they have been made
            given_up.cancel()
            await asyncio.sleep(0)
            kill_all(client, "normal")
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*calls) == WANTED[1:]
        assert given_up.cancelled()
        assert (await there.counts())["pending"] == CALLS


def in_threads(threads: ThreadPoolExecutor, work: Callable[[int], Any]) -> list[Any]:
    return [found.result(TIMEOUT) for found in [threads.submit(work, number) for number in range(THREADS)]]


def test_blocking_calls_after_all_connections_have_died(real: Backend) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(THREADS) as threads:
        manager = TaskManager(store)
        at_once = threading.Barrier(THREADS, timeout=TIMEOUT)

        def submit(number: int) -> str:
            at_once.wait()  # so that each has a connection
            return manager.submit(Task(id=f"{turn} {number}"))

        for turn in range(6):
            assert in_threads(threads, submit) == [f"{turn} {number}" for number in range(THREADS)]
            kill_all(client, "normal")
        assert manager.counts()["pending"] == 6 * THREADS


@pytest.mark.parametrize("kills", [1, 2])
def test_blocking_calls_whose_connections_die(real: Backend, kills: int) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(THREADS) as threads:
        manager = TaskManager(store)
        ids = manager.submit_many(Task(inputs={"number": number}) for number in range(THREADS))

        def work(number: int) -> Any:
            if number % 2:
                return manager.claim("a", ids[number])
            task = manager.get_task(ids[number])
            return task and task.inputs["number"]

        with paused(client):
            calls = [threads.submit(work, number) for number in range(THREADS)]
            for _ in range(kills):
                until(lambda: held_back(client) == THREADS)
                kill_all(client, "normal")
        found = [each.result(TIMEOUT) for each in calls]
        assert found == [True if number % 2 else number for number in range(THREADS)]
        assert manager.counts()["assigned"] == THREADS // 2


def test_blocking_calls_flow_while_connections_die(real: Backend) -> None:
    client = real.client()
    with RedisStore.from_url(str(real.url)) as store, ThreadPoolExecutor(THREADS) as threads:
        manager = TaskManager(store)
        over = threading.Event()

        def submit() -> int:
            number = 0
            while not over.is_set():
                manager.submit(Task())
                number += 1
            return number

        calls = [threads.submit(submit) for _ in range(THREADS)]
        try:
            for _ in range(10):
                more = manager.counts()["pending"] + THREADS

                def have_more(more: int = more) -> bool:
                    return manager.counts()["pending"] >= more

                until(have_more)
                client.client_kill_filter(_type="normal", skipme=True)
        finally:
            over.set()
        numbers = [each.result(TIMEOUT) for each in calls]
        assert manager.counts()["pending"] == sum(numbers)
