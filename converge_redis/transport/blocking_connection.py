"""A connection for blocking calls, below redis-py's streams; the counterpart of `converge_redis.transport.pipelined_connection`."""

import math
import os
import socket
import struct
import time
from typing import Any, Protocol

import hiredis
from redis import exceptions

LOOK_SECONDS = 200e-6
"""For how long a reply is looked for before the thread sleeps: to wake it takes as long as a call."""

CALLS_WITHOUT_LOOK = 100
"""How many calls sleep at once after one that has looked in vain: the server is far away, or busy."""

_NOTHING = object()
_READ_BYTES = 65536


class BlockingLine(Protocol):
    """Sends commands, and waits for their replies.

    Attributes:
        connection: redis-py's connection.
    """

    connection: Any

    def exchange(self, packed: bytes, number: int) -> list[Any]:
        """Send `number` commands in one write, and return their replies and reply errors.

        Raises:
            redis.ConnectionError, redis.TimeoutError: The connection was lost, or no reply came in time.
        """
        ...


class PlainLine:
    """A `BlockingLine` that reads and writes redis-py's socket itself.

    The socket is blocking, and the system keeps the time-outs: a socket with a time-out of Python's takes two
    system calls where this takes one. Before the thread sleeps it looks for the reply for a moment
    (docs/decisions/lines.md), where it has more than one CPU to do so.

    Args:
        connection: A connection of redis-py's, connected and without replies under way.
        plain: Its socket.
    """

    __slots__ = ("_calls_without_look", "_read", "_reader", "_send", "connection")

    def __init__(self, connection: Any, plain: socket.socket) -> None:
        self.connection = connection
        limit = float(connection.socket_timeout or 0.0)  # 0: none, as for the system
        seconds = struct.pack("ll", int(limit), int(limit % 1 * 1e6))
        plain.settimeout(None)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, seconds)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)
        self._send, self._read = plain.sendall, plain.recv
        self._calls_without_look = 0 if _has_cpus() else math.inf
        self._reader = hiredis.Reader(
            protocolError=exceptions.InvalidResponse,
            replyError=connection._parser.parse_error,
            notEnoughData=_NOTHING,
        )

    def exchange(self, packed: bytes, number: int) -> list[Any]:
        """See `BlockingLine`."""
        reader, read = self._reader, self._read_next
        replies: list[Any] = []
        try:
            self._send(packed)
            while len(replies) < number:
                data = read()
                if not data:
                    raise exceptions.ConnectionError("the connection was closed by the server")
                reader.feed(data)
                while (reply := reader.gets()) is not _NOTHING:
                    if not isinstance(reply, hiredis.PushNotification):
                        replies.append(reply)
        except BlockingIOError as error:
            raise exceptions.TimeoutError("no reply in time") from error
        except OSError as error:
            raise exceptions.ConnectionError(f"the connection was lost: {error}") from error
        return replies

    def _read_next(self) -> bytes:
        if self._calls_without_look > 0:
            self._calls_without_look -= 1
            return self._read(_READ_BYTES)
        ends = time.perf_counter() + LOOK_SECONDS
        while True:
            os.sched_yield()  # who else wants this CPU goes first, perhaps the server
            try:
                return self._read(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if time.perf_counter() > ends:
                    break
        self._calls_without_look = CALLS_WITHOUT_LOOK
        return self._read(_READ_BYTES)


def _has_cpus() -> bool:
    """Tell whether this process may use several CPUs, and can be polite on them."""
    return (
        hasattr(os, "sched_yield") and hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1
    )


class WrappedLine:
    """A `BlockingLine` through redis-py, for what has no plain socket: TLS, and fake servers.

    Args:
        connection: A connection of redis-py's.
    """

    __slots__ = ("connection",)

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def exchange(self, packed: bytes, number: int) -> list[Any]:
        """See `BlockingLine`."""
        self.connection.send_packed_command([packed])
        return [self._reply() for _ in range(number)]

    def _reply(self) -> Any:
        try:
            return self.connection.read_response()
        except exceptions.ResponseError as error:
            return error


def line_over(connection: Any) -> BlockingLine:
    """Take a connection of redis-py's over."""
    plain = getattr(connection, "_sock", None)
    if type(plain) is socket.socket and hasattr(connection._parser, "parse_error") and os.name == "posix":
        return PlainLine(connection, plain)
    return WrappedLine(connection)
