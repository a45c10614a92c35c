"""The store on asyncio: a connection, a namespace, and values by key."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import redis.asyncio

from converge_redis.core.namespace import DEFAULT_PAYLOAD_LIMIT, Namespace
from converge_redis.core.operation import Gives, Operation, Steps
from converge_redis.notifications.near_cache import NearCache, NearStatistics, check_near_cache
from converge_redis.notifications.near_entries import NearCopies
from converge_redis.store import values
from converge_redis.store.async_runner import LoopRunner, closed
from converge_redis.store.methods import AsyncFacade, averb, near_averb
from converge_redis.store.open_namespace import open_namespace
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.constraints import DEFAULT_RETENTION_SEC
from converge_redis.transport.clients import async_client, async_clone, calls_at_once, check_client

T = TypeVar("T")


class AsyncRedisStore(AsyncFacade):
    """Connection and namespace of a fleet, for code on asyncio; also a key-value store of its own.

    Safe to share between tasks, and between event loops in several threads: each loop gets connections of its
    own. What is called at the same time travels in shared writes, each call with its own reply or error. Use
    it as an asynchronous context manager, or call `aclose`.

    Args:
        client: A ``redis.asyncio.Redis`` client without ``decode_responses``, for the event loop that uses
            the store first; others get clients with the same settings. It stays the caller's to close.
        namespace: The prefix of all keys.
        shards: Over how many hash slots tasks spread; the same for all stores of a namespace. With one, the
            order of priority is strict over all tasks.
        payload_limit: The largest payload, in bytes once encoded.
        claim_ttl_sec: The lease of tasks that set none, in seconds; None: their claims do not expire.
        retention_sec: How long finished tasks that do not say are kept, in seconds.
        max_finished: The most finished tasks to keep, whatever their retention: those go first whose
            retention ends first. None: no limit.
        types: The pydantic models and dataclasses whose instances stored values may hold, known by their
            ``__qualname__``; or, as a mapping, by the names to store.
        compress_above: The bytes above which a stored value is compressed with zstd, which needs the extra
            ``converge-redis[compression]``; None: none is.
        near_cache: Keep copies of what was read; see `NearCache`. None: every read asks the server.

    Raises:
        ConfigurationError: The client cannot be used.
        InvalidTypeError, InvalidValueError: Another argument is malformed.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        namespace: str = "converge",
        shards: int = 1,
        *,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        claim_ttl_sec: float | None = None,
        retention_sec: float = DEFAULT_RETENTION_SEC,
        max_finished: int | None = None,
        types: Iterable[type] | Mapping[str, type] = (),
        compress_above: int | None = None,
        near_cache: NearCache | None = None,
    ) -> None:
        check_client(client)
        space = Namespace(
            namespace,
            shards,
            payload_limit,
            claim_ttl_sec,
            retention_sec,
            max_finished,
            types,
            compress_above,
        )
        self._set_up(space, lambda: async_clone(client), client, near_cache=near_cache)

    def _set_up(
        self,
        space: Namespace,
        make_client: Callable[[], "redis.asyncio.Redis"],
        given_client: "redis.asyncio.Redis | None" = None,
        *,
        near_cache: NearCache | None,
    ) -> None:
        self.namespace = space
        self._store = self
        self._near_cache = check_near_cache(near_cache)
        self._given_client = given_client
        self._make_client = make_client
        self._runners = dict[asyncio.AbstractEventLoop, LoopRunner]()
        self._lock = threading.Lock()
        self._open = False
        self._closed = False

    @classmethod
    def from_url(
        cls,
        url: str,
        namespace: str = "converge",
        shards: int = 1,
        *,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        claim_ttl_sec: float | None = None,
        retention_sec: float = DEFAULT_RETENTION_SEC,
        max_finished: int | None = None,
        types: Iterable[type] | Mapping[str, type] = (),
        compress_above: int | None = None,
        near_cache: NearCache | None = None,
        **options: Any,
    ) -> Self:
        """Make a store for a server; the connection is made at the first call, or by `open`.

        Args:
            url: ``redis://``, ``rediss://`` (TLS), ``unix://`` or their ``valkey`` forms, as in redis-py.
            namespace: See the class.
            shards: See the class.
            payload_limit: See the class.
            claim_ttl_sec: See the class.
            retention_sec: See the class.
            max_finished: See the class.
            types: See the class.
            compress_above: See the class.
            near_cache: See the class.
            options: More settings of redis-py's connections, such as ``socket_timeout`` or ``ssl_ca_certs``;
                and ``max_connections``, the most connections that carry calls in an event loop (default 4;
                one more listens).

        Raises:
            ConfigurationError: The URL or an option is malformed.
        """
        async_client(url, options)  # raises for what is malformed
        space = Namespace(
            namespace,
            shards,
            payload_limit,
            claim_ttl_sec,
            retention_sec,
            max_finished,
            types,
            compress_above,
        )
        store = cls.__new__(cls)
        store._set_up(space, lambda: async_client(url, options), near_cache=near_cache)
        return store

    @classmethod
    def like(cls, store: RedisStore) -> Self:
        """Make a store with the server, namespace and settings of a blocking one."""
        made = cls.__new__(cls)
        made._set_up(store.namespace, store.new_async_client, near_cache=store._near_cache)
        return made

    put = averb(values.put)
    put_many = averb(values.put_many)
    put_if_absent = averb(values.put_if_absent)
    compare_and_set = averb(values.compare_and_set)
    get = near_averb(values.get)
    get_versioned = averb(values.get_versioned)
    get_many = averb(values.get_many)
    delete = averb(values.delete)
    delete_many = averb(values.delete_many)
    list = averb(values.list_keys)
    count = averb(values.count)
    clear = averb(values.clear)

    async def open(self) -> Self:
        """Connect now, and agree on the namespace; otherwise the first call does it.

        Raises:
            StoreUnavailableError: The server cannot be reached, or refuses the password.
            ConfigurationError: The namespace is in use with another number of shards.
        """
        runner = self._runner()
        if not self._open:
            await runner.run(open_namespace(self.namespace))
            self._open = True
        return self

    async def aclose(self) -> None:
        """End all waits, and close the connections that the store made. A second call has no effect."""
        with self._lock:
            self._closed = True
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

    @property
    def near(self) -> NearCopies | None:
        """The copies that are kept of what was read in the running event loop; verbs use it."""
        return None if self._near_cache is None else self._runner().near

    def near_statistics(self) -> NearStatistics:
        """Return what the near cache of the running event loop has done; all is 0 where there is none."""
        return NearStatistics() if (copies := self.near) is None else copies.statistics()

    async def run(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out an operation, or the steps of a verb; managers use it."""
        if not self._open:
            await self.open()
        return await self._runner().run(work)

    async def iterate(self, work: Gives[T]) -> AsyncIterator[T]:
        """Carry out the steps of a verb that gives many results; managers use it."""
        if not self._open:
            await self.open()
        async with contextlib.aclosing(self._runner().iterate(work)) as items:
            async for item in items:
                yield item

    def _runner(self) -> LoopRunner:
        loop = asyncio.get_running_loop()
        runner = self._runners.get(loop)
        if runner is None:
            with self._lock:
                runner = self._runners[loop] = self._new_runner()
        return runner

    def _new_runner(self) -> LoopRunner:
        if self._closed:
            raise closed()
        for loop in [loop for loop in self._runners if loop.is_closed()]:
            del self._runners[loop]  # its connections ended with it
        client, self._given_client = self._given_client, None
        if client is not None:
            return LoopRunner(client, False, calls_at_once(client), self.namespace, self._near_cache)
        return self.new_runner()

    def new_runner(self) -> LoopRunner:
        """Make what carries work out in another event loop, with connections of its own."""
        client = self._make_client()
        return LoopRunner(client, True, calls_at_once(client), self.namespace, self._near_cache)
