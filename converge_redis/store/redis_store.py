"""The blocking store."""

import asyncio
import contextlib
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import redis

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import (
    Call,
    Command,
    Compute,
    Computed,
    Emit,
    OnListener,
    Operation,
    ReadNear,
    Stream,
    Unfinished,
    WithListener,
)
from converge_redis.errors import InvalidTypeError, StoreClosedError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.near_cache import NearCache, NearStatistics
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.store import server_info, values
from converge_redis.store.abstract_store import AbstractStore
from converge_redis.store.async_runner import AsyncRunner, as_closed_error
from converge_redis.store.background_loop import BackgroundLoop
from converge_redis.store.methods import Blocking, method, near_cached_method
from converge_redis.store.open_namespace import open_namespace
from converge_redis.transport.blocking_pool import BlockingPool
from converge_redis.transport.clients import (
    async_client,
    async_client_like,
    blocking_client,
    max_call_connections,
)
from converge_redis.transport.delivery import Batch, Pause, Requests, Unbatched, first_command, requests

T = TypeVar("T")


class RedisStore(AbstractStore[redis.Redis], Blocking):
    """The connection and the namespace of a fleet, for blocking code; also a key-value store.

    Threads may share it. Use it as a context manager, or call `close`.
    """

    def _configure(
        self, client: redis.Redis, namespace: Namespace, near_cache: NearCache | None, *, owns_client: bool
    ) -> None:
        super()._configure(client, namespace, near_cache, owns_client=owns_client)
        self._store = self
        self._new_async_client: Callable[[], Any] = lambda: async_client_like(client)
        self._background: tuple[BackgroundLoop, AsyncRunner] | None = None
        self._lock = threading.Lock()
        self._pool = BlockingPool(client)

    @staticmethod
    def _client_for(url: str, options: dict[str, Any]) -> redis.Redis:
        return blocking_client(url, options)

    def _own(self, url: str, options: dict[str, Any]) -> None:
        self._owns_client = True
        self._new_async_client = lambda: async_client(url, options)

    put = method(values.put)
    put_many = method(values.put_many)
    put_if_absent = method(values.put_if_absent)
    compare_and_set = method(values.compare_and_set)
    get = near_cached_method(values.get, values.get_near)
    get_versioned = method(values.get_versioned)
    get_many = method(values.get_many)
    delete = method(values.delete)
    delete_many = method(values.delete_many)
    list = method(values.list_keys)
    count = method(values.count)
    clear = method(values.clear)
    ping = method(server_info.ping)
    info = method(server_info.info)

    def open(self) -> Self:
        """Connect now, and check the settings of the namespace; otherwise the first call does it.

        Raises:
            StoreUnavailableError: The server cannot be reached, or refuses the password.
            ConfigurationError: The namespace is in use with another number of shards.
        """
        if not self._is_open:
            self._check_not_closed()
            self._drive(requests(open_namespace(self._namespace)))
            self._is_open = True
        return self

    def close(self) -> None:
        """End all waiting calls and close the connections that the store made. Idempotent."""
        with self._lock:
            self._is_closed = self._pool.is_closed = True
            background, self._background = self._background, None
        if background is not None and background[0].pid == os.getpid():
            background[0].run(background[1].aclose())
            background[0].stop()
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def near_statistics(self) -> NearStatistics:
        """Return the counters of the near cache; all are 0 where it is off."""
        return NearStatistics() if (entries := self._near_entries) is None else entries.statistics()

    @property
    def _near_entries(self) -> NearEntries | None:
        if self._near_cache is None:
            return None
        loop, runner = self._in_background()
        if runner.near is not None and not runner.near.is_subscribed:
            loop.call_soon(runner.start)
        return runner.near

    def _run(self, call: Call[T]) -> T:
        """Execute an operation, or a procedure."""
        if not self._is_open or self._is_closed:
            self._check_not_closed()
            self.open()
        failure: Exception | None = None
        if self._owns_client and isinstance(call, Operation | Command):
            # The usual case without the generators that handle failures.
            try:
                reply = self._pool.call(first_command(call, client_retries=False))
            except Exception as error:
                failure = as_closed_error(self._is_closed, error)
            else:
                try:
                    return call.decode(reply)
                except Unfinished as unfinished:
                    call = unfinished.procedure
        return self._drive(requests(call, not self._owns_client, failure))

    async def _run_in_background(self, call: Call[T]) -> T:
        """Execute it in the background thread, for a coroutine in the caller's event loop."""
        if not self._is_open:
            await asyncio.to_thread(self.open)
        loop, runner = self._in_background()
        try:
            return await asyncio.wrap_future(loop.submit(runner.run(call)))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._is_closed and task is not None and not task.cancelling():
                raise StoreClosedError from None  # the store's loop was stopped; the caller was not cancelled
            raise

    def _drive(self, todo: Requests[T]) -> T:
        try:
            request = next(todo)
            while True:
                try:
                    answer = self._execute(request)
                except Exception as error:
                    request = todo.throw(as_closed_error(self._is_closed, error))
                else:
                    request = todo.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            todo.close()

    def _iterate(self, stream: Stream[T]) -> Iterator[T]:
        """Execute a stream, and yield its results."""
        if not self._is_open:
            self.open()
        todo: Requests[None] = requests(stream, client_retries=not self._owns_client)
        try:
            request = next(todo)
            while True:
                if isinstance(request, Emit):
                    yield request.item
                try:
                    answer = self._execute(request)
                except Exception as error:
                    request = todo.throw(as_closed_error(self._is_closed, error))
                else:
                    request = todo.send(answer)
        except StopIteration:
            return
        finally:
            todo.close()

    def _execute(self, request: Any) -> Any:  # noqa: PLR0911 - one for each kind
        match request:
            case tuple() | Unbatched():
                command = request.command if isinstance(request, Unbatched) else request
                if self._owns_client:
                    return self._pool.call(command)
                with self._clean_connections():
                    return self._client.execute_command(*command)  # type: ignore[no-untyped-call]
            case Batch(commands) if self._owns_client:
                return self._pool.exchange(commands)
            case Batch(commands):
                with self._clean_connections(), self._client.pipeline(transaction=False) as pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
                    return pipeline.execute(raise_on_error=False)
            case Pause(seconds):
                return time.sleep(seconds)
            case OnListener(call):
                loop, runner = self._in_background()
                return loop.run(runner.on_listener(call))
            case WithListener(call):
                loop, runner = self._in_background()
                if not runner.is_listening:
                    loop.run(runner.on_listener(_do_nothing))
                return runner.with_listener(call)
            case ReadNear():
                return self._near_entries
            case Compute(function):
                return _computed(function)
            case Emit():
                return None
        raise AssertionError(request)

    @contextlib.contextmanager
    def _clean_connections(self) -> Iterator[None]:
        """After an interrupt, drop idle connections: redis-py keeps one whose reply was not read."""
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self._client.connection_pool.disconnect(inuse_connections=False)
            raise

    def _in_background(self) -> tuple[BackgroundLoop, AsyncRunner]:
        with self._lock:
            self._check_not_closed()
            if self._background is None or self._background[0].pid != os.getpid():
                runner = self._new_runner()
                loop = BackgroundLoop()
                loop.run(runner.on_listener(_do_nothing))
                self._background = (loop, runner)
            return self._background

    def _new_runner(self) -> AsyncRunner:
        """Make a runner for another event loop, with connections of its own."""
        client = self._new_async_client()
        return AsyncRunner(client, True, max_call_connections(client), self._namespace, self._near_cache)

    def _check_not_closed(self) -> None:
        if self._is_closed:
            raise StoreClosedError


def _computed(function: Callable[[], Any]) -> Computed:
    try:
        value = function()
    except Exception as error:
        return Computed(None, error)
    if inspect.iscoroutine(value):
        value.close()
        return Computed(None, InvalidTypeError(f"{function!r} is a coroutine function: use AsyncSharedCache"))
    return Computed(value)


async def _do_nothing(_listener: Listener) -> None:
    """Only start the listener."""
