"""Pool managers of both styles, with the same awaitable methods."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import fakeredis
import pytest
import redis

from converge_redis import AsyncPoolManager, AsyncRedisStore, PoolManager, RedisStore
from tests.support.backends import Backend


@pytest.fixture
def client(backend: Backend) -> redis.Redis:
    return backend.client()


@pytest.fixture
def store(client: redis.Redis) -> RedisStore:
    return RedisStore(client)


class Manager:
    """A manager of either style; all its methods are coroutine functions."""

    def __init__(self, manager: PoolManager | AsyncPoolManager) -> None:
        self._manager = manager

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._manager, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            result = method(*args, **kwargs)
            return await result if inspect.isawaitable(result) else result

        return call


@pytest.fixture(params=["sync", "async"])
async def new_manager(
    request: pytest.FixtureRequest, client: redis.Redis, backend: Backend
) -> AsyncIterator[Callable[[], Manager]]:
    """A function that makes managers with their own policies, as those of different processes."""
    if request.param == "sync":
        yield lambda: Manager(PoolManager(RedisStore(client)))
        return
    if backend.url is None:
        async_client: Any = fakeredis.FakeAsyncRedis(server=backend.fake)
    else:
        async_client = redis.asyncio.Redis.from_url(backend.url)
    async with async_client:
        yield lambda: Manager(AsyncPoolManager(AsyncRedisStore(async_client)))


@pytest.fixture
async def manager(new_manager: Callable[[], Manager]) -> AsyncIterator[Manager]:
    manager = new_manager()
    yield manager
    assert await manager.audit() == []
