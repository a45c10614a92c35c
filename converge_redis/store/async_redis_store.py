"""The store for asyncio."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any, Self, TypeVar

import redis.asyncio

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Call, Stream
from converge_redis.errors import StoreClosedError
from converge_redis.notifications.near_cache import NearCache, NearStatistics
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.store import server_info, values
from converge_redis.store.abstract_store import AbstractStore
from converge_redis.store.async_runner import AsyncRunner
from converge_redis.store.methods import Asynchronous, async_method, async_near_cached_method
from converge_redis.store.open_namespace import open_namespace
from converge_redis.store.redis_store import RedisStore
from converge_redis.transport.clients import async_client, async_client_like, max_call_connections

T = TypeVar("T")


class AsyncRedisStore(AbstractStore[redis.asyncio.Redis], Asynchronous):
    """The connection and the namespace of a fleet, for code on asyncio; also a key-value store.

    Tasks may share it, and so may event loops in several threads: each loop gets connections of its own, and
    a given client serves the loop that uses the store first. Calls that are made at the same time share
    writes, each with its own reply or error. Use it as an asynchronous context manager, or call `aclose`.
    """

    def _configure(
        self,
        client: "redis.asyncio.Redis",
        namespace: Namespace,
        near_cache: NearCache | None,
        *,
        owns_client: bool,
    ) -> None:
        super()._configure(client, namespace, near_cache, owns_client=owns_client)
        self._store = self
        self._unused_client: redis.asyncio.Redis | None = None if owns_client else client
        self._new_client: Callable[[], redis.asyncio.Redis] = lambda: async_client_like(client)
        self._runners = dict[asyncio.AbstractEventLoop, AsyncRunner]()
        self._lock = threading.Lock()

    @staticmethod
    def _client_for(url: str, options: dict[str, Any]) -> "redis.asyncio.Redis":
        return async_client(url, options)

    def _own(self, url: str, options: dict[str, Any]) -> None:
        self._owns_client = True
        self._unused_client = None  # each event loop gets one of its own
        self._new_client = lambda: async_client(url, options)

    @classmethod
    def like(cls, store: RedisStore) -> Self:
        """Make a store with the server, namespace and settings of a blocking one."""
        made = cls.__new__(cls)
        made._configure(store._new_async_client(), store._namespace, store._near_cache, owns_client=True)
        made._new_client = store._new_async_client
        return made

    put = async_method(values.put)
    put_many = async_method(values.put_many)
    put_if_absent = async_method(values.put_if_absent)
    compare_and_set = async_method(values.compare_and_set)
    get = async_near_cached_method(values.get, values.get_near)
    get_versioned = async_method(values.get_versioned)
    get_many = async_method(values.get_many)
    delete = async_method(values.delete)
    delete_many = async_method(values.delete_many)
    list = async_method(values.list_keys)
    count = async_method(values.count)
    clear = async_method(values.clear)
    ping = async_method(server_info.ping)
    info = async_method(server_info.info)

    async def open(self) -> Self:
        """Connect now, and check the settings of the namespace; otherwise the first call does it.

        Raises:
            StoreUnavailableError: The server cannot be reached, or refuses the password.
            ConfigurationError: The namespace is in use with another number of shards.
        """
        runner = self._runner()
        if not self._is_open:
            await runner.run(open_namespace(self._namespace))
            self._is_open = True
        return self

    async def aclose(self) -> None:
        """End all waiting calls and close the connections that the store made. Idempotent."""
        with self._lock:
            self._is_closed = True
            runners, self._runners = self._runners, {}
        here = asyncio.get_running_loop()
        for loop, runner in runners.items():
            if loop is here:
                await runner.aclose()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(runner.aclose(), loop))

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def near_statistics(self) -> NearStatistics:
        """Return the counters of the running event loop's near cache; all are 0 where it is off."""
        return NearStatistics() if (entries := self._near_entries) is None else entries.statistics()

    @property
    def _near_entries(self) -> NearEntries | None:
        return None if self._near_cache is None else self._runner().started_near

    async def _run(self, call: Call[T]) -> T:
        """Execute an operation, or a procedure."""
        if not self._is_open:
            await self.open()
        return await self._runner().run(call)

    async def _iterate(self, stream: Stream[T]) -> AsyncIterator[T]:
        """Execute a stream, and yield its results."""
        if not self._is_open:
            await self.open()
        async with contextlib.aclosing(self._runner().iterate(stream)) as items:
            async for item in items:
                yield item

    def _runner(self) -> AsyncRunner:
        loop = asyncio.get_running_loop()
        runner = self._runners.get(loop)
        if runner is None:
            with self._lock:
                runner = self._runners[loop] = self._runner_for_loop()
        return runner

    def _runner_for_loop(self) -> AsyncRunner:
        if self._is_closed:
            raise StoreClosedError
        for loop in [loop for loop in self._runners if loop.is_closed()]:
            del self._runners[loop]  # its connections ended with it
        client, self._unused_client = self._unused_client, None
        if client is not None:
            return AsyncRunner(client, False, max_call_connections(client), self._namespace, self._near_cache)
        return self._new_runner()

    def _new_runner(self) -> AsyncRunner:
        """Make a runner for another event loop, with connections of its own."""
        client = self._new_client()
        return AsyncRunner(client, True, max_call_connections(client), self._namespace, self._near_cache)
