"""Carrying work out in one event loop: with its connections, and its listener."""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeVar

import redis.asyncio
from redis.exceptions import ResponseError

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Compute, Computed, Give, Gives, Join, Listen, Near, Operation, Steps
from converge_redis.errors import StoreClosedError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.near_cache import NearCache
from converge_redis.notifications.near_entries import NearCopies
from converge_redis.tasks.claim_queue import Claimer, Visible
from converge_redis.transport.delivery import Alone, Batch, Pause, Requests, first_command, requests
from converge_redis.transport.pipeline import SharedCalls

T = TypeVar("T")


class LoopRunner:
    """What a store has in one event loop.

    Args:
        client: The client.
        owns_client: Whether the client was made for this runner: to be closed with it, and known not to
            repeat commands of its own accord.
        connections: The most connections to use for calls.
        space: The namespace.
        near_cache: How many copies to keep of what was read; None: none.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        owns_client: bool,
        connections: int,
        space: Namespace,
        near_cache: NearCache | None = None,
    ) -> None:
        self._client = client
        self._owns_client = owns_client
        self._calls = SharedCalls(client, connections, keeps=owns_client)
        self.copies = None if near_cache is None else NearCopies(near_cache)
        self._listener = Listener(client, space, self._run_for_listener, self._calls.settled, self.copies)
        self._closed = False

    async def run(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out an operation, or the steps of a verb."""
        self._check_not_closed()
        failed: Exception | None = None
        if isinstance(work, Operation):
            # The usual case without the generators that know what to do about failures.
            try:
                reply = await self._calls.call(first_command(work, not self._owns_client))
            except Exception as error:
                failed = self._closed_or(error)
            else:
                return work.decode(reply)
        return await self._carry_out(requests(work, not self._owns_client, failed))

    async def iterate(self, work: Gives[T]) -> AsyncGenerator[T, None]:
        """Carry out the steps of a verb that gives many results."""
        self._check_not_closed()
        todo: Requests[None] = requests(work, repeats=not self._owns_client)
        try:
            request = next(todo)
            while True:
                if isinstance(request, Give):
                    yield request.item
                try:
                    answer = await self._answer(request)
                except Exception as error:
                    request = todo.throw(self._closed_or(error))
                else:
                    request = todo.send(answer)
        except StopIteration:
            return
        finally:
            todo.close()

    async def _run_for_listener(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out work of the listener: it leaves nothing behind, also while the store is closed."""
        return await self._carry_out(requests(work, repeats=not self._owns_client))

    async def _carry_out(self, todo: Requests[T]) -> T:
        try:
            request = next(todo)
            while True:
                try:
                    answer = await self._answer(request)
                except Exception as error:
                    request = todo.throw(self._closed_or(error))
                else:
                    request = todo.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            todo.close()  # a verb that is cancelled leaves its queues now, not when it is collected

    async def _answer(self, request: Any) -> Any:  # noqa: PLR0911 - one for each kind
        match request:
            case tuple():
                return await self._calls.call(request)
            case Alone(command):
                return await self._calls.call_alone(command)
            case Batch(commands):
                return await self._calls.call_all(commands)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Listen(act):
                return await self.listen(act)
            case Join(visible):
                self._listener.start()
                return self.join(visible)
            case Near():
                return self.near
            case Compute(function):
                return await _computed(function)
            case Give():
                return None
        raise AssertionError(request)

    @property
    def near(self) -> NearCopies | None:
        """The copies of what was read; in the event loop."""
        if self.copies is not None:
            self.start()
        return self.copies

    def start(self) -> None:
        """Begin to listen, unless closed; in the event loop."""
        if not self._closed:
            self._listener.start()

    async def listen(self, act: Any) -> Any:
        """Have something done with the listener."""
        self._listener.start()
        return await act(self._listener)

    def join(self, visible: Visible) -> Claimer:
        """Add a claimer that may wait; from any thread, once the listener was started."""
        self._check_not_closed()
        return self._listener.join(visible)

    async def aclose(self) -> None:
        """End all waits, and close the connections. A second call has no effect."""
        self._closed = True
        await self._listener.aclose()
        await self._calls.aclose()
        if self._owns_client:
            await self._client.aclose()

    def _check_not_closed(self) -> None:
        if self._closed:
            raise closed()

    def _closed_or(self, error: Exception) -> Exception:
        # Closed while the request was under way, redis-py fails in many ways, but the server speaks.
        told = isinstance(error, ResponseError | TimeoutError)
        return closed() if self._closed and not told else error


async def _computed(function: Callable[[], Any]) -> Computed:
    try:
        value = function()
        return Computed(await value if inspect.isawaitable(value) else value)
    except Exception as error:
        return Computed(None, error)


def closed() -> StoreClosedError:
    """Return the error for what is asked of a store that was closed."""
    return StoreClosedError("the store was closed; make a new one")
