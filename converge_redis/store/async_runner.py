"""The runner of one event loop: executes requests with the loop's connections and its listener."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

import redis.asyncio
from redis.exceptions import ResponseError

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
from converge_redis.errors import StoreClosedError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.near_cache import NearCache
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.transport.delivery import Batch, Pause, Requests, Unbatched, first_command, requests
from converge_redis.transport.pipeline import Pipeline

T = TypeVar("T")


class AsyncRunner:
    """What a store has in one event loop.

    Args:
        client: The client.
        owns_client: Whether the client was made for this runner, which then closes it, and knows that it
            sends no command twice by itself.
        connections: The most connections for calls.
        namespace: The namespace.
        near_cache: The settings of the near cache; None: it is off.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        owns_client: bool,
        connections: int,
        namespace: Namespace,
        near_cache: NearCache | None = None,
    ) -> None:
        self._client = client
        self._owns_client = owns_client
        self._pipeline = Pipeline(client, connections, keeps=owns_client)
        self.near = None if near_cache is None else NearEntries(near_cache)
        self._listener = Listener(
            client, namespace, self._run_for_listener, self._pipeline.drained, self.near
        )
        self._is_closed = False

    async def run(self, call: Call[T]) -> T:
        """Execute an operation, or a procedure."""
        self._check_not_closed()
        failure: Exception | None = None
        if isinstance(call, Operation | Command):
            # The usual case without the generators that handle failures.
            try:
                reply = await self._pipeline.call(first_command(call, not self._owns_client))
            except Exception as error:
                failure = as_closed_error(self._is_closed, error)
            else:
                try:
                    return call.decode(reply)
                except Unfinished as unfinished:
                    call = unfinished.procedure
        return await self._drive(requests(call, not self._owns_client, failure))

    async def iterate(self, stream: Stream[T]) -> AsyncGenerator[T, None]:
        """Execute a stream, and yield its results."""
        self._check_not_closed()
        todo: Requests[None] = requests(stream, client_retries=not self._owns_client)
        try:
            request = next(todo)
            while True:
                if isinstance(request, Emit):
                    yield request.item
                try:
                    answer = await self._execute(request)
                except Exception as error:
                    request = todo.throw(as_closed_error(self._is_closed, error))
                else:
                    request = todo.send(answer)
        except StopIteration:
            return
        finally:
            todo.close()

    async def _run_for_listener(self, call: Call[T]) -> T:
        """Execute work of the listener, which removes its registrations while the store is closing."""
        return await self._drive(requests(call, client_retries=not self._owns_client))

    async def _drive(self, todo: Requests[T]) -> T:
        try:
            request = next(todo)
            while True:
                try:
                    answer = await self._execute(request)
                except Exception as error:
                    request = todo.throw(as_closed_error(self._is_closed, error))
                else:
                    request = todo.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            todo.close()  # a cancelled call leaves its queues now, not when it is garbage-collected

    async def _execute(self, request: Any) -> Any:  # noqa: PLR0911 - one for each kind
        match request:
            case tuple():
                return await self._pipeline.call(request)
            case Unbatched(command):
                return await self._pipeline.call_unbatched(command)
            case Batch(commands):
                return await self._pipeline.call_all(commands)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case OnListener(call):
                return await self.on_listener(call)
            case WithListener(call):
                self._listener.start()
                return self.with_listener(call)
            case ReadNear():
                return self.started_near
            case Compute(function):
                return await _computed(function)
            case Emit():
                return None
        raise AssertionError(request)

    @property
    def started_near(self) -> NearEntries | None:
        """The near cache, once the listener that keeps it valid was started; in the event loop."""
        if self.near is not None:
            self.start()
        return self.near

    @property
    def is_listening(self) -> bool:
        """Whether the listener is running."""
        return self._listener.is_running

    def start(self) -> None:
        """Start the listener, unless closed; in the event loop."""
        if not self._is_closed:
            self._listener.start()

    async def on_listener(self, call: Any) -> Any:
        """Start the listener, and run a coroutine function on it."""
        self._listener.start()
        return await call(self._listener)

    def with_listener(self, call: Any) -> Any:
        """Call a plain function with the listener; from any thread, once the listener was started."""
        self._check_not_closed()
        return call(self._listener)

    async def aclose(self) -> None:
        """End all waiting calls, and close the connections. A second call has no effect."""
        self._is_closed = True
        await self._listener.aclose()
        await self._pipeline.aclose()
        if self._owns_client:
            await self._client.aclose()

    def _check_not_closed(self) -> None:
        if self._is_closed:
            raise StoreClosedError


async def _computed(function: Callable[[], Any]) -> Computed:
    try:
        value = function()
        return Computed(await value if inspect.isawaitable(value) else value)
    except Exception as error:
        return Computed(None, error)


def as_closed_error(is_closed: bool, error: Exception) -> Exception:
    """Return `StoreClosedError` for whatever redis-py raised because the store was closed meanwhile.

    The errors that a server returned, and time-outs, stay as they are.
    """
    keeps = isinstance(error, ResponseError | TimeoutError)
    return StoreClosedError() if is_closed and not keeps else error
