"""Shared writes on asyncio: calls that are made at the same time travel together, on few connections."""

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
from converge_redis.transport.pipelined_connection import CALLS_PER_WRITE, Line

_Call = tuple[Parts, "asyncio.Future[Any]"]


class _Write:
    """One write: its calls, or None until it takes them."""

    __slots__ = ("calls",)

    def __init__(self, calls: list[_Call] | None) -> None:
        self.calls = calls


class SharedCalls:
    """Sends the calls of one event loop; each gets its own reply or error, whatever befalls the others.

    What is called in one turn of the event loop goes out together, in the order of the calls; what is called
    while all connections are busy goes out with the next free one.

    Args:
        client: The client whose connections are used.
        connections: The most of them to use at a time.
        keeps: Whether to keep the connections between calls; else they go back to the client's pool.
    """

    def __init__(self, client: "redis.asyncio.Redis", connections: int, keeps: bool = False) -> None:
        self._pool: Any = client.connection_pool
        self._free = connections
        self._keeps = keeps
        self._line: Line | None = None
        self._waiting = deque[_Call]()
        self._is_starting = False
        self._is_closed = False
        self._tasks = set[asyncio.Task[None]]()

    def call(self, command: Parts) -> "asyncio.Future[Any]":
        """Send a command; the future brings its reply, or its error. It can be cancelled."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        line = self._line
        if line is not None and line.is_open:
            line.send(command, future)
            return future
        self._waiting.append((command, future))
        if not self._is_starting and self._free > 0:
            self._is_starting = True
            self._spawn(None)
        return future

    def call_alone(self, command: Parts) -> "asyncio.Future[Any]":
        """Send a command in a write of its own."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._spawn([(command, future)])
        return future

    async def call_all(self, commands: Iterable[Parts]) -> list[Any]:
        """Send commands together; returns replies and errors, in their order."""
        return await asyncio.gather(*[self.call(command) for command in commands], return_exceptions=True)

    async def settled(self) -> None:
        """Wait until what is under way now has its replies, also those that nobody waits for any more."""
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        if self._line is not None and self._line.is_open:
            with contextlib.suppress(exceptions.RedisError):
                await self.call(("PING",))  # its reply comes after all that are under way

    async def aclose(self) -> None:
        """Give up what is under way: those who wait for it are told that the connection is lost."""
        self._is_closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._line is not None:
            await self._drop(self._line, _closed())

    def _spawn(self, calls: list[_Call] | None) -> None:
        """Send calls; None: those that wait when the next turn begins, which are all of this turn."""
        self._free -= 1
        write = _Write(calls)
        task = asyncio.get_running_loop().create_task(self._carry_out(write))
        self._tasks.add(task)
        task.add_done_callback(partial(self._on_end, write))

    def _on_end(self, write: "_Write", task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._free += 1
        if write.calls is None:  # it was cancelled before it began
            self._take(write)
        _fail(write.calls or [], _closed())  # it was cancelled; else all calls are settled
        if self._waiting and not self._is_starting and self._free > 0:
            if self._is_closed:
                _fail(self._waiting, _closed())
                self._waiting.clear()
            else:
                self._is_starting = True
                self._spawn(None)

    def _take(self, write: "_Write") -> list[_Call]:
        """Take what waits; another write takes what is too much for this one."""
        self._is_starting = False
        waiting = self._waiting
        calls = [waiting.popleft() for _ in range(min(CALLS_PER_WRITE, len(waiting)))]
        write.calls = [(command, future) for command, future in calls if not future.done()]
        if waiting and self._free > 0:
            self._is_starting = True
            self._spawn(None)
        return write.calls

    async def _carry_out(self, write: "_Write") -> None:
        calls = self._take(write) if write.calls is None else write.calls
        if self._is_closed:
            _fail(calls, _closed())
        elif calls:
            try:
                await self._exchange(calls)
            except Exception as error:
                _fail(calls, error)

    async def _exchange(self, calls: list[_Call]) -> None:
        """Write all commands, then read their replies."""
        if self._line is not None and not self._line.is_open:
            line, self._line = self._line, None
            await self._drop(line, _closed())  # its place in the pool is needed
        limit = self._pool.connection_kwargs.get("socket_timeout")
        try:
            async with asyncio.timeout(limit):
                connection = await self._pool.get_connection()
        except TimeoutError as error:
            raise exceptions.TimeoutError("no connection in time") from error
        is_clean = False
        # One limit for all of a write and its replies: redis-py's own, one for each, cost as much as a call.
        limit, connection.socket_timeout = connection.socket_timeout, None
        try:
            async with asyncio.timeout(limit):
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
            connection.socket_timeout = limit
            if not (is_clean and self._keeps and not self._is_closed and await self._keep(connection)):
                if not is_clean:  # replies that were not read would be taken for those of the next calls
                    await connection.disconnect(nowait=True)
                await self._pool.release(connection)

    async def _keep(self, connection: Any) -> bool:
        """Keep a connection as the line for all further calls, unless there is one, or it cannot be."""
        if self._line is not None and self._line.is_open:
            return False
        if self._line is not None:
            await self._drop(self._line, _closed())
        self._line = Line.over(connection)
        if self._line is None:
            return False
        while self._waiting:
            command, future = self._waiting.popleft()
            if not future.done():
                self._line.send(command, future)
        return True

    async def _drop(self, line: Line, error: Exception) -> None:
        line.close(error)
        await line.connection.disconnect(nowait=True)
        await self._pool.release(line.connection)


async def _write(connection: Any, calls: list[_Call]) -> list[_Call]:
    """Write commands; returns those that were written. One that cannot be encoded fails alone."""
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
        return  # cancelled: nobody waits for the reply any more
    if isinstance(reply, Exception):
        future.set_exception(reply)
    else:
        future.set_result(reply)


def _fail(calls: Sequence[_Call], error: Exception) -> None:
    for _, future in calls:
        _settle(future, error)


def _closed() -> exceptions.ConnectionError:
    return exceptions.ConnectionError("the store was closed")
