"""Calls on asyncio share connections: each gets its own reply, whatever happens to the others."""

import asyncio
import contextlib
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio

from converge_redis import AsyncRedisStore, AsyncTaskManager, StoreClosedError, Task
from converge_redis.transport.pipelined_connection import CALLS_PER_WRITE, PipelinedConnection
from tests.support.backends import TIMEOUT, Backend, async_until
from tests.transport.test_lost_connections import all_above


@pytest.mark.parametrize("connections", [1, 2, 4])
async def test_calls_made_while_connections_open_get_their_replies(real: Backend, connections: int) -> None:
    """The first calls of a store, in several turns of the event loop; its listener connects meanwhile."""
    for _ in range(10):
        async with AsyncRedisStore.from_url(str(real.url), max_connections=connections) as store:
            manager = AsyncTaskManager(store)

            async def count_after(turns: int, manager: AsyncTaskManager = manager) -> int:
                for _ in range(turns):
                    await asyncio.sleep(0)
                return (await manager.counts())["pending"]

            waiting = asyncio.create_task(manager.wait("unknown", TIMEOUT))
            async with asyncio.timeout(TIMEOUT):
                assert set(await asyncio.gather(*[count_after(turns % 15) for turns in range(60)])) == {0}
            assert await waiting is None


async def test_each_call_gets_its_own_reply(real: Backend) -> None:
    async with AsyncRedisStore.from_url(str(real.url)) as store:
        await store.put_many({f"{number}": number for number in range(500)})

        async def read(number: int) -> Any:
            for _ in range(number % 7):
                await asyncio.sleep(0)
            return await store.get(f"{number}")

        assert await asyncio.gather(*[read(number) for number in range(500)]) == list(range(500))


async def test_calls_of_one_turn_share_writes_of_a_bounded_size(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first two calls are written at once, the others together; their order is kept."""
    calls_per_write: list[int] = []
    with redis.Redis.from_url(str(real.url)) as client:
        client.mset({f"{number}": number for number in range(1000)})
    async with redis.asyncio.Redis.from_url(str(real.url)) as client:
        pool: Any = client.connection_pool
        of_redis_py = await pool.get_connection()
        connection = PipelinedConnection.take_over(of_redis_py)
        assert connection is not None
        transport = connection._transport

        def write(data: bytes) -> None:
            calls_per_write.append(data.count(b"GET"))
            transport.write(data)

        monkeypatch.setattr(connection, "_transport", SimpleNamespace(write=write, abort=transport.abort))
        futures: list[asyncio.Future[Any]] = []
        for number in range(1000):
            futures.append(asyncio.get_running_loop().create_future())
            connection.send(("GET", f"{number}"), futures[-1])
        assert calls_per_write == [1, 1, *[CALLS_PER_WRITE] * 4]
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*futures) == [f"{number}".encode() for number in range(1000)]
        assert calls_per_write == [1, 1, *[CALLS_PER_WRITE] * 4, 198]
        connection.close(ConnectionError("the test has ended"))
        await of_redis_py.disconnect(nowait=True)
        await pool.release(of_redis_py)


async def test_a_cancelled_call_takes_no_reply_from_other_calls(real: Backend) -> None:
    async with AsyncRedisStore.from_url(str(real.url)) as store:
        await store.put_many({f"{number}": number for number in range(100)})
        for turns in range(6):
            calls = [asyncio.create_task(store.get(f"{number}")) for number in range(100)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for call in calls[::2]:
                call.cancel()
            found = await asyncio.gather(*calls, return_exceptions=True)
            assert found[1::2] == list(range(1, 100, 2))


async def test_a_stream_of_calls_survives_lost_connections(real: Backend) -> None:
    """A call whose reply was lost is sent again; no call hangs, none takes effect twice."""
    client: Any = real.client()
    async with AsyncRedisStore.from_url(str(real.url)) as store:
        manager = AsyncTaskManager(store)
        submitted = [0] * 8
        is_over = False

        async def submit(submitter: int) -> None:
            while not is_over:
                await manager.submit(Task())
                submitted[submitter] += 1

        async with asyncio.timeout(TIMEOUT * 2), asyncio.TaskGroup() as submitters:
            for submitter in range(len(submitted)):
                submitters.create_task(submit(submitter))
            try:
                for _ in range(30):
                    # Between two kills each submitter ends a call: a call has a limited number of retries.
                    await async_until(partial(all_above, submitted, list(submitted)))
                    client.client_kill_filter(_type="normal", skipme=True)
            finally:
                is_over = True
        assert (await manager.counts())["pending"] == sum(submitted)


async def test_closing_a_store_ends_its_calls_in_flight(real: Backend) -> None:
    for turns in range(8):
        store = AsyncRedisStore.from_url(str(real.url))
        await store.put("a", 1)
        calls = [asyncio.create_task(store.get("a")) for _ in range(50)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await store.aclose()
        async with asyncio.timeout(TIMEOUT):
            for call in calls:
                with contextlib.suppress(StoreClosedError):
                    assert await call == 1
