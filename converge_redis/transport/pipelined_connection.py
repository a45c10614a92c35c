"""A connection that many calls share on asyncio, below redis-py's streams."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Self, cast

import hiredis
from redis import exceptions

from converge_redis.core.operation import Argument

CALLS_PER_WRITE = 200
"""The calls of one turn that go out together: the server works on them while more are laid out."""

_NOTHING = object()
_TOLD = (b"message", b"subscribe")


class Line(asyncio.Protocol):
    """Sends calls as they come, and hands each its reply as it arrives.

    The first call of a turn of the event loop goes out at once, the others of the same turn together: one
    call at a time waits for nothing, many share their writes.

    redis-py makes the connection and logs in; this takes its transport over. Between a call and the socket
    there is then no stream, task or time-out of its own, which take a third of what a call on asyncio costs.

    Args:
        connection: A connection of redis-py's, connected and without replies under way.
        transport: Its transport.
        on_told: Called with what the server tells of its own accord, such as ``[b"message", …]``.
    """

    def __init__(
        self,
        connection: Any,
        transport: asyncio.Transport,
        on_told: Callable[[list[Any]], None] | None = None,
    ) -> None:
        self.connection = connection
        self.is_open = True
        self.lost = asyncio.Event()
        self.error: Exception | None = None
        self._on_told = on_told
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._reader = hiredis.Reader(
            protocolError=exceptions.InvalidResponse,
            replyError=connection._parser.parse_error,
            notEnoughData=_NOTHING,
        )
        self._limit: float | None = connection.socket_timeout or None
        self._packed: list[bytes] = []
        self._shares = False  # something was written in this turn: what follows is written together
        self._under_way = deque["asyncio.Future[Any]"]()
        self._heard_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @classmethod
    def over(cls, connection: Any, on_told: Callable[[list[Any]], None] | None = None) -> Self | None:
        """Take a connection over; None where it has no transport, as those of a fake server."""
        writer = getattr(connection, "_writer", None)
        transport: Any = getattr(writer, "transport", None)
        if not hasattr(transport, "set_protocol"):
            return None
        line = cls(connection, transport, on_told)
        transport.set_protocol(line)
        return line

    @property
    def heard_at(self) -> float:
        """When the server last sent anything, on the event loop's clock."""
        return self._heard_at

    def ask(self, *command: Argument) -> None:
        """Send a command whose reply comes as what the server tells, as those of subscriptions do."""
        self._transport.write(hiredis.pack_command(cast("Any", command)))

    def send(self, command: tuple[Argument, ...], future: "asyncio.Future[Any]") -> None:
        """Send a command; the future brings the reply."""
        try:
            packed = hiredis.pack_command(cast("Any", command))
        except (TypeError, UnicodeError) as error:
            future.set_exception(error)
            return
        if self._shares:
            self._packed.append(packed)
            if len(self._packed) >= CALLS_PER_WRITE:
                self._write()
        else:
            self._transport.write(packed)
            if self._under_way:
                self._shares = True
                self._loop.call_soon(self._flush)
        if not self._under_way:
            self._heard_at = self._loop.time()
            if self._timer is None and self._limit is not None:
                self._timer = self._loop.call_later(self._limit, self._look)
        self._under_way.append(future)

    def close(self, error: Exception) -> None:
        """Send and read no more; what is under way fails."""
        if self.is_open:
            self.is_open = False
            self.error = error
            self.lost.set()
            if self._timer is not None:
                self._timer.cancel()
            self._transport.abort()
            while self._under_way:
                future = self._under_way.popleft()
                if not future.done():
                    future.set_exception(error)

    def _flush(self) -> None:
        self._shares = False
        self._write()

    def _write(self) -> None:
        packed, self._packed = self._packed, []
        if packed and self.is_open:
            self._transport.write(b"".join(packed))

    def _look(self) -> None:
        """End the line when no reply has come for too long."""
        self._timer = None
        if self._under_way and self._limit is not None:
            left = self._heard_at + self._limit - self._loop.time()
            if left <= 0:
                self.close(exceptions.TimeoutError("no reply in time"))
            else:
                self._timer = self._loop.call_later(left, self._look)

    # What asyncio calls

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are complete."""
        self._reader.feed(data)
        self._heard_at = self._loop.time()
        try:
            while (reply := self._reader.gets()) is not _NOTHING:
                if isinstance(reply, hiredis.PushNotification) or self._is_told(reply):
                    if self._on_told is not None:
                        self._on_told(reply)
                    continue
                if not self._under_way:  # what was asked for by `ask` is refused, or it speaks out of turn
                    unasked = exceptions.ConnectionError(f"the server's words make no sense: {reply!r}")
                    self.close(reply if isinstance(reply, Exception) else unasked)
                    return
                future = self._under_way.popleft()
                if future.done():
                    continue  # cancelled: nobody waits for the reply any more
                if isinstance(reply, Exception):
                    future.set_exception(reply)
                else:
                    future.set_result(reply)
        except exceptions.InvalidResponse as error:
            self.close(exceptions.ConnectionError(f"the server's words make no sense: {error!r}"))

    def _is_told(self, reply: Any) -> bool:
        """Tell whether a reply is no answer to a call; version 2 of the protocol has no mark for it."""
        return self._on_told is not None and isinstance(reply, list) and reply[0] in _TOLD

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what is under way."""
        self.close(exceptions.ConnectionError(f"the connection was lost: {error or 'closed by the server'}"))
