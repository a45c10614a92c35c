"""The servers that the suite runs on: the fake and real ones, behind one interface; waiting for a state."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import fakeredis
import redis
import redis.asyncio

from converge_redis import AsyncRedisStore, RedisStore

T = TypeVar("T")

TIMEOUT = 60.0
"""Seconds to wait for a state that is usually reached in milliseconds; only a broken test takes so long."""


@dataclass
class Backend:
    """One server, empty when a test begins.

    Attributes:
        url: The URL of a real server; None: the fake.
        fake: The fake server.
    """

    url: str | None = None
    fake: fakeredis.FakeServer | None = None
    async_clients: list[redis.asyncio.Redis] = field(default_factory=list)
    _clients: list[redis.Redis] = field(default_factory=list)

    @property
    def is_real(self) -> bool:
        return self.url is not None

    def client(self) -> redis.Redis:
        """A plain client, closed by `close`."""
        fake = self.url is None
        client = fakeredis.FakeRedis(server=self.fake) if fake else redis.Redis.from_url(str(self.url))
        self._clients.append(client)
        return client

    def store(self, namespace: str = "test", shards: int = 1, **options: Any) -> RedisStore:
        if self.url is None:
            return RedisStore(self.client(), namespace, shards, **options)
        return RedisStore.from_url(self.url, namespace, shards, **options)

    def async_store(self, namespace: str = "test", shards: int = 1, **options: Any) -> AsyncRedisStore:
        if self.url is None:
            client = fakeredis.FakeAsyncRedis(server=self.fake)
            self.async_clients.append(client)
            return AsyncRedisStore(client, namespace, shards, **options)
        return AsyncRedisStore.from_url(self.url, namespace, shards, **options)

    def flush(self) -> None:
        if self.url is not None:
            with redis.Redis.from_url(self.url) as client:
                client.flushall()

    def close(self) -> None:
        for client in self._clients:
            client.close()


async def eventually(condition: Callable[[], Awaitable[T]]) -> T:
    """Await `condition()` until its result is true, and return that; fail after `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := await condition()):
        assert time.monotonic() < deadline, f"still {found!r} after {TIMEOUT} s"
        await asyncio.sleep(0.005)
    return found


def until(condition: Callable[[], T]) -> T:
    """Call `condition` until its result is true, and return that; fail after `TIMEOUT`."""
    deadline = time.monotonic() + TIMEOUT
    while not (found := condition()):
        assert time.monotonic() < deadline, f"still {found!r} after {TIMEOUT} s"
        time.sleep(0.005)
    return found


async def async_until(condition: Callable[[], T]) -> T:
    """As `until`, without blocking the event loop."""

    async def call() -> T:
        return condition()

    return await eventually(call)
