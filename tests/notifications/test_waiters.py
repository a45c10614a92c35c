"""Waiters, with a server that answers only when the test lets it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest

from converge_redis.notifications.waiters import Observation, Waiter, Waiters
from tests.support.backends import TIMEOUT, async_until


class Server:
    """Answers reads at once, and requests to unwatch keys when the test sets `may_unwatch`."""

    def __init__(self) -> None:
        self.reads: list[list[str]] = []
        self.unwatched: list[list[str]] = []
        self.is_unwatching = asyncio.Event()
        self.may_unwatch = asyncio.Event()
        self.results = dict[str, str]()

    async def read(self, keys: Sequence[str]) -> dict[str, Observation[str]]:
        self.reads.append([*keys])
        return {key: Observation(self.results.get(key), True, None) for key in keys}

    async def unwatch(self, keys: Sequence[str]) -> None:
        self.unwatched.append([*keys])
        self.is_unwatching.set()
        await self.may_unwatch.wait()


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def waiters(server: Server) -> AsyncIterator[Waiters[str, str]]:
    waiters: Waiters[str, str] = Waiters(server.read, server.unwatch)
    running = asyncio.create_task(waiters.run())
    yield waiters
    assert not running.done()
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_waiter_resolved_while_keys_are_unwatched_is_not_read(
    server: Server, waiters: Waiters[str, str]
) -> None:
    removed, resolved, pending = (Waiter[str, str]([key], 1) for key in "abc")
    waiters.add(removed)
    await async_until(lambda: server.reads == [["a"]])
    waiters.remove(removed)
    waiters.add(resolved)
    waiters.add(pending)
    await asyncio.wait_for(server.is_unwatching.wait(), TIMEOUT)
    waiters.resolve("b", "done")
    server.results["c"] = "done too"
    server.may_unwatch.set()
    async with asyncio.timeout(TIMEOUT):
        await resolved.wait()
        await pending.wait()
    assert (resolved.results, pending.results) == (["done"], ["done too"])
    assert server.unwatched == [["a"]]
    assert server.reads == [["a"], ["c"]]


async def test_a_key_watched_again_while_it_is_unwatched_is_read_afterwards(
    server: Server, waiters: Waiters[str, str]
) -> None:
    first, second = Waiter[str, str](["a"], 1), Waiter[str, str](["a"], 1)
    waiters.add(first)
    await async_until(lambda: server.reads == [["a"]])
    waiters.remove(first)
    await asyncio.wait_for(server.is_unwatching.wait(), TIMEOUT)
    waiters.add(second)
    server.results["a"] = "done"
    server.may_unwatch.set()
    async with asyncio.timeout(TIMEOUT):
        await second.wait()
    assert second.results == ["done"]
    assert server.reads == [["a"], ["a"]]
