"""The pipelined connection: one that many asyncio calls share, below redis-py's streams."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self, cast

import hiredis
from redis import exceptions

from converge_redis.core.operation import Argument

CALLS_PER_WRITE = 200
"""Calls of one turn of the event loop per write: the server works on them while more are encoded."""

_NOT_ENOUGH_DATA = object()
_PUSH_KINDS = (b"message", b"subscribe")


class PipelinedConnection(asyncio.Protocol):
    """Sends calls as they are made, and resolves the future of each as its reply arrives.

    The first call of a turn of the event loop is written at once, the others of the same turn together. A
    single call waits for nothing; many calls share their writes.

    redis-py connects and authenticates; this class then takes the transport over. Without redis-py's streams,
    tasks and time-outs between a call and the socket, a call on asyncio costs a third less.

    Args:
        connection: A connection of redis-py, connected and without outstanding replies.
        transport: Its transport.
        on_push: Called with each push message, such as ``[b"message", …]``.
    """

    def __init__(
        self,
        connection: Any,
        transport: asyncio.Transport,
        on_push: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self.connection = connection
        self.is_open = True
        self.lost = asyncio.Event()
        self.error: Exception | None = None
        self._on_push = on_push
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._reader = hiredis.Reader(
            protocolError=exceptions.InvalidResponse,
            replyError=connection._parser.parse_error,
            notEnoughData=_NOT_ENOUGH_DATA,
        )
        self._timeout: float | None = connection.socket_timeout or None
        self._buffer: list[bytes] = []
        self._is_buffering = False  # there was a write in this turn: further calls are buffered until its end
        self._in_flight = deque["asyncio.Future[Any]"]()
        self._last_read_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def take_over(cls, connection: Any, on_push: Callable[[list[Any]], None] | None = None) -> Self | None:
        """Take over a connection of redis-py; None where it has no transport, as those of a fake server."""
        writer = getattr(connection, "_writer", None)
        transport: Any = getattr(writer, "transport", None)
        if not hasattr(transport, "set_protocol"):
            return None
        pipelined = cls(connection, transport, on_push)
        transport.set_protocol(pipelined)
        return pipelined

    @property
    def last_read_at(self) -> float:
        """When the server last sent anything, on the event loop's clock."""
        return self._last_read_at

    def send_unanswered(self, *command: Argument) -> None:
        """Send a command whose reply is a push message, such as SUBSCRIBE."""
        self._transport.write(hiredis.pack_command(cast("Any", command)))

    def send(self, command: tuple[Argument, ...], future: "asyncio.Future[Any]") -> None:
        """Send a command; the future is resolved with its reply."""
        try:
            packed = hiredis.pack_command(cast("Any", command))
        except (TypeError, UnicodeError) as error:
            future.set_exception(error)
            return
        if self._is_buffering:
            self._buffer.append(packed)
            if len(self._buffer) >= CALLS_PER_WRITE:
                self._write()
        else:
            self._transport.write(packed)
            if self._in_flight:
                self._is_buffering = True
                self._loop.call_soon(self._flush)
        if not self._in_flight:
            self._last_read_at = self._loop.time()
            if self._timer is None and self._timeout is not None:
                self._timer = self._loop.call_later(self._timeout, self._check_timeout)
        self._in_flight.append(future)

    def close(self, error: Exception) -> None:
        """Close the connection; the calls in flight fail with the error."""
        if self.is_open:
            self.is_open = False
            self.error = error
            self.lost.set()
            if self._timer is not None:
                self._timer.cancel()
            self._transport.abort()
            while self._in_flight:
                future = self._in_flight.popleft()
                if not future.done():
                    future.set_exception(error)

    def _flush(self) -> None:
        self._is_buffering = False
        self._write()

    def _write(self) -> None:
        buffer, self._buffer = self._buffer, []
        if buffer and self.is_open:
            self._transport.write(b"".join(buffer))

    def _check_timeout(self) -> None:
        """Close the connection when nothing has arrived for the length of the socket time-out."""
        self._timer = None
        if self._in_flight and self._timeout is not None:
            left = self._last_read_at + self._timeout - self._loop.time()
            if left <= 0:
                self.close(exceptions.TimeoutError("no reply in time"))
            else:
                self._timer = self._loop.call_later(left, self._check_timeout)

    # Called by asyncio

    def data_received(self, data: bytes) -> None:
        """Resolve the futures of the complete replies."""
        self._reader.feed(data)
        self._last_read_at = self._loop.time()
        try:
            while (reply := self._reader.gets()) is not _NOT_ENOUGH_DATA:
                if isinstance(reply, hiredis.PushNotification) or self._is_push(reply):
                    if self._on_push is not None:
                        self._on_push(reply)
                    continue
                if not self._in_flight:  # a refusal of what `send_unanswered` sent, or a broken server
                    unexpected = exceptions.ConnectionError(f"the server sent an unexpected reply: {reply!r}")
                    self.close(reply if isinstance(reply, Exception) else unexpected)
                    return
                future = self._in_flight.popleft()
                if future.done():
                    continue  # cancelled: nothing awaits the reply
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except exceptions.InvalidResponse as error:
            self.close(exceptions.ConnectionError(f"the server sent an invalid reply: {error!r}"))

    def _is_push(self, reply: Any) -> bool:
        """Return whether a reply is a push message in version 2 of the protocol, which does not mark them."""
        return self._on_push is not None and isinstance(reply, list) and reply[0] in _PUSH_KINDS

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the calls in flight."""
        self.close(exceptions.ConnectionError(f"the connection was lost: {error or 'closed by the server'}"))
