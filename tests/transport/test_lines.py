"""Calls on asyncio share lines: each gets its own reply, whatever befalls the others."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio

from converge_redis import AsyncRedisStore, AsyncTaskManager, StoreClosedError, Task
from converge_redis.transport.pipelined_connection import CALLS_PER_WRITE, PipelinedConnection
from tests.support.backends import TIMEOUT, Backend


@pytest.mark.parametrize("connections", [1, 2, 4])
async def test_the_first_calls_of_a_store_come_in_many_turns(real: Backend, connections: int) -> None:
    """While several connections are made, and a listener has one too."""
    for _ in range(10):
        async with AsyncRedisStore.from_url(str(real.url), max_connections=connections) as store:
            manager = AsyncTaskManager(store)

            async def later(turns: int, manager: AsyncTaskManager = manager) -> int:
                for _ in range(turns):
                    await asyncio.sleep(0)
                return (await manager.counts())["pending"]

            listening = asyncio.create_task(manager.wait("unknown", TIMEOUT))
            async with asyncio.timeout(TIMEOUT):
                assert set(await asyncio.gather(*[later(turns % 15) for turns in range(60)])) == {0}
            assert await listening is None


async def test_each_gets_its_own_reply(real: Backend) -> None:
    async with AsyncRedisStore.from_url(str(real.url)) as store:
        await store.put_many({f"{number}": number for number in range(500)})

        async def read(number: int) -> Any:
            for _ in range(number % 7):
                await asyncio.sleep(0)
            return await store.get(f"{number}")

        assert await asyncio.gather(*[read(number) for number in range(500)]) == list(range(500))


async def test_the_calls_of_one_turn_share_their_writes(
    real: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first ones go out at once, the others in parts of a bounded size, each in its order."""
    written: list[int] = []
    with redis.Redis.from_url(str(real.url)) as client:
        client.mset({f"{number}": number for number in range(1000)})
    async with redis.asyncio.Redis.from_url(str(real.url)) as client:
        pool: Any = client.connection_pool
        connection = await pool.get_connection()
        line = PipelinedConnection.take_over(connection)
        assert line is not None
        write = line._transport.write

        def noted(data: bytes) -> None:
            written.append(data.count(b"GET"))
            write(data)

        monkeypatch.setattr(line, "_transport", SimpleNamespace(write=noted, abort=line._transport.abort))
        futures: list[asyncio.Future[Any]] = []
        for number in range(1000):
            futures.append(asyncio.get_running_loop().create_future())
            line.send(("GET", f"{number}"), futures[-1])
        assert written == [1, 1, *[CALLS_PER_WRITE] * 4]
        async with asyncio.timeout(TIMEOUT):
            assert await asyncio.gather(*futures) == [f"{number}".encode() for number in range(1000)]
        assert written == [1, 1, *[CALLS_PER_WRITE] * 4, 198]
        line.close(ConnectionError("over"))
        await connection.disconnect(nowait=True)
        await pool.release(connection)


async def test_a_call_that_is_cancelled_takes_no_reply_from_others(real: Backend) -> None:
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


async def test_connections_are_lost_while_calls_flow(real: Backend) -> None:
    """A call whose reply was lost is made again; none hangs."""
    client: Any = real.client()
    async with AsyncRedisStore.from_url(str(real.url)) as store:
        manager = AsyncTaskManager(store)
        over = False

        async def submit() -> int:
            number = 0
            while not over:
                await manager.submit(Task())
                number += 1
            return number

        submitting = [asyncio.create_task(submit()) for _ in range(8)]
        for _ in range(10):
            await asyncio.sleep(0.05)
            client.client_kill_filter(_type="normal", skipme=True)
        over = True
        async with asyncio.timeout(TIMEOUT):
            numbers = await asyncio.gather(*submitting)
        assert (await manager.counts())["pending"] == sum(numbers)


async def test_closed_while_calls_are_under_way(real: Backend) -> None:
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
