"""Waiters, with a server that answers when it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from converge_redis.notifications.waiters import Observation, Waiter, Waiters
from tests.support.backends import TIMEOUT


class Server:
    """Answers reads at once, and what is to be forgotten when it is let go on."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.forgotten: list[list[str]] = []
        self.is_asked = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.ended = dict[str, str]()

    async def read(self, keys: Sequence[str]) -> dict[str, Observation[str]]:
        self.reads.append([*keys])
        return {key: Observation(self.ended.get(key), True, None) for key in keys}

    async def forget(self, keys: Sequence[str]) -> None:
        self.forgotten.append([*keys])
        self.is_asked.set()
        await self.goes_on.wait()


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def waits(server: Server) -> AsyncIterator[Waiters[str, str]]:
    waits: Waiters[str, str] = Waiters(server.read, server.forget)
    reading = asyncio.create_task(waits.run())
    yield waits
    assert not reading.done()
    reading.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await reading


async def test_a_wait_that_ends_while_others_are_forgotten_is_not_read(
    server: Server, waits: Waiters[str, str]
) -> None:
    left, ended, stays = Waiter[str, str](["a"], 1), Waiter[str, str](["b"], 1), Waiter[str, str](["c"], 1)
    waits.add(left)
    await asyncio.sleep(0.01)
    waits.remove(left)
    waits.add(ended)
    waits.add(stays)
    await asyncio.wait_for(server.is_asked.wait(), TIMEOUT)
    waits.resolve("b", "done")  # told, while the server is asked to forget
    server.ended["c"] = "done too"
    server.goes_on.set()
    async with asyncio.timeout(TIMEOUT):
        await ended.wait()
        await stays.wait()
    assert (ended.results, stays.results) == (["done"], ["done too"])
    assert server.forgotten == [["a"]]
    assert server.reads == [["a"], ["c"]]


async def test_a_wait_that_begins_while_it_is_forgotten_is_read_afterwards(
    server: Server, waits: Waiters[str, str]
) -> None:
    first, second = Waiter[str, str](["a"], 1), Waiter[str, str](["a"], 1)
    waits.add(first)
    await asyncio.sleep(0.01)
    waits.remove(first)
    await asyncio.wait_for(server.is_asked.wait(), TIMEOUT)
    waits.add(second)
    server.ended["a"] = "done"
    server.goes_on.set()
    async with asyncio.timeout(TIMEOUT):
        await second.wait()
    assert second.results == ["done"]
    assert server.reads == [["a"], ["a"]]
