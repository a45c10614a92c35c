"""The pipeline of an event loop: asyncio calls made at the same time share writes and connections."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

import redis.asyncio
from hiredis import pack_command
from redis import exceptions

from converge_redis.transport.delivery import Parts
from converge_redis.transport.pipelined_connection import CALLS_PER_WRITE, PipelinedConnection

_Call = tuple[Parts, "asyncio.Future[Any]"]


class _Batch:
    """The calls of one write; None until it takes them from the queue."""

    __slots__ = ("calls",)

    def __init__(self, calls: list[_Call] | None) -> None:
        self.calls = calls


class Pipeline:
    """Sends the calls of one event loop; each gets its own reply or error, whatever happens to the others.

    Calls of one turn of the event loop are sent together, in their order. Calls that are made while all
    connections are busy are queued, and sent with the next free one.

    Args:
        client: The client that makes the connections.
        connections: The most of them to use at a time.
        keeps: Whether to keep the connections between calls; else they return to the client's pool.
    """

    def __init__(self, client: "redis.asyncio.Redis", connections: int, keeps: bool = False) -> None:
        self._pool: Any = client.connection_pool
        self._free = connections
        self._keeps = keeps
        self._connection: PipelinedConnection | None = None
        self._queue = deque[_Call]()
        self._is_starting = False
        self._is_closed = False
        self._tasks = set[asyncio.Task[None]]()

    def call(self, command: Parts) -> "asyncio.Future[Any]":
        """Send a command; the future is resolved with its reply or error. It can be cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        connection = self._connection
        if connection is not None and connection.is_open:
            connection.send(command, future)
            return future
        self._queue.append((command, future))
        if not self._is_starting and self._free > 0:
            self._is_starting = True
            self._start(None)
        return future

    def call_unbatched(self, command: Parts) -> "asyncio.Future[Any]":
        """Send a command in a write of its own."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._start([(command, future)])
        return future

    async def call_all(self, commands: Iterable[Parts]) -> list[Any]:
        """Send commands together; return replies and errors, in their order."""
        return await asyncio.gather(*[self.call(command) for command in commands], return_exceptions=True)

    async def drained(self) -> None:
        """Wait until all calls in flight have their replies, cancelled ones included."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        if self._connection is not None and self._connection.is_open:
            with contextlib.suppress(exceptions.RedisError):
                await self.call(("PING",))  # its reply comes after those of all calls in flight

    async def aclose(self) -> None:
        """Close the connections; calls in flight fail with a connection error."""
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._connection is not None:
            await self._drop(self._connection, _closed())

    def _start(self, calls: list[_Call] | None) -> None:
        """Send calls; None: those that are queued when the next turn begins, that is all of this turn."""
        self._free -= 1
        batch = _Batch(calls)
        task = asyncio.get_running_loop().create_task(self._send(batch))
        self._tasks.add(task)
        task.add_done_callback(partial(self._on_sent, batch))

    def _on_sent(self, batch: _Batch, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._free += 1
        if batch.calls is None:  # the task was cancelled before it began
            self._take(batch)
        _fail(batch.calls or [], _closed())  # does nothing unless the task was cancelled
        if self._queue and not self._is_starting and self._free > 0:
            if self._is_closed:
                _fail(self._queue, _closed())
                self._queue.clear()
            else:
                self._is_starting = True
                self._start(None)

    def _take(self, batch: _Batch) -> list[_Call]:
        """Take calls from the queue; another batch takes those that are too many for one write."""
        self._is_starting = False
        queue = self._queue
        calls = [queue.popleft() for _ in range(min(CALLS_PER_WRITE, len(queue)))]
        batch.calls = [(command, future) for command, future in calls if not future.done()]
        if queue and self._free > 0:
            self._is_starting = True
            self._start(None)
        return batch.calls

    async def _send(self, batch: _Batch) -> None:
        calls = self._take(batch) if batch.calls is None else batch.calls
        if self._is_closed:
            _fail(calls, _closed())
        elif calls:
            try:
                await self._exchange(calls)
            except Exception as error:
                _fail(calls, error)

    async def _exchange(self, calls: list[_Call]) -> None:
        """Write all commands, then read their replies."""
        if self._connection is not None and not self._connection.is_open:
            dead, self._connection = self._connection, None
            await self._drop(dead, _closed())  # its place in the pool is needed
        timeout = self._pool.connection_kwargs.get("socket_timeout")
        try:
            async with asyncio.timeout(timeout):
                connection = await self._pool.get_connection()
        except TimeoutError as error:
            raise exceptions.TimeoutError("no connection in time") from error
        is_clean = False
        # One time-out for the write and all its replies: redis-py's own, one for each, cost as much as a
        # call.
        timeout, connection.socket_timeout = connection.socket_timeout, None
        try:
            async with asyncio.timeout(timeout):
                sent = await _write(connection, calls)
                for _, future in sent:
                    try:
                        reply = await connection.read_response()
                    except exceptions.ResponseError as error:
                        reply = error
                    _settle(future, reply)
            is_clean = True
        except TimeoutError as error:
            raise exceptions.TimeoutError("no reply in time") from error
        finally:
            connection.socket_timeout = timeout
            if not (is_clean and self._keeps and not self._is_closed and await self._keep(connection)):
                if not is_clean:  # the next calls would take unread replies for their own
                    await connection.disconnect(nowait=True)
                await self._pool.release(connection)

    async def _keep(self, connection: Any) -> bool:
        """Keep a connection for all further calls, unless there is one, or it cannot be taken over."""
        if self._connection is not None and self._connection.is_open:
            return False
        if self._connection is not None:
            await self._drop(self._connection, _closed())
        self._connection = PipelinedConnection.take_over(connection)
        if self._connection is None:
            return False
        while self._queue:
            command, future = self._queue.popleft()
            if not future.done():
                self._connection.send(command, future)
        return True

    async def _drop(self, connection: PipelinedConnection, error: Exception) -> None:
        connection.close(error)
        await connection.connection.disconnect(nowait=True)
        await self._pool.release(connection.connection)


async def _write(connection: Any, calls: list[_Call]) -> list[_Call]:
    """Write commands, and return those that were written. One that cannot be encoded fails alone."""
    packed: list[bytes] = []
    sent: list[_Call] = []
    for command, future in calls:
        try:
            packed.append(pack_command(cast("Any", command)))
        except (TypeError, UnicodeError) as error:
            _settle(future, error)
        else:
            sent.append((command, future))
    await connection.send_packed_command(packed)
    return sent


def _settle(future: "asyncio.Future[Any]", reply: Any) -> None:
    if future.done():
        return  # cancelled: nothing awaits the reply
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _fail(calls: Sequence[_Call], error: Exception) -> None:
    for _, future in calls:
        _settle(future, error)


def _closed() -> exceptions.ConnectionError:
    return exceptions.ConnectionError("the store was closed")
