"""Blocking connections, below redis-py's client; the counterpart of `PipelinedConnection`."""

import math
import os
import socket
import struct
import time
from typing import Any, Protocol

import hiredis
from redis import exceptions

SPIN_SECONDS = 200e-6
"""Poll the socket this long before blocking; waking a sleeping thread costs about as much as a whole call."""

CALLS_WITHOUT_SPIN = 100
"""After a spin without a reply this many calls block at once: the server is far away, or busy."""

_NOT_ENOUGH_DATA = object()
_READ_BYTES = 65536


class BlockingConnection(Protocol):
    """Sends commands, and waits for their replies.

    Attributes:
        connection: The connection of redis-py.
    """

    connection: Any

    def exchange(self, packed: bytes, number: int) -> list[Any]:
        """Send `number` commands in one write, and return their replies and reply errors.

        Raises:
            redis.ConnectionError, redis.TimeoutError: The connection was lost, or no reply came in time.
        """
        ...


class SocketConnection:
    """A `BlockingConnection` that reads and writes the socket of a redis-py connection itself.

    The socket is blocking, and the operating system applies the time-outs: with a time-out of Python's, each
    read takes two system calls instead of one. Where the process has more than one CPU, it polls for the
    reply for a moment before the thread sleeps (``docs/decisions/socket-connections.md``).

    Args:
        connection: A connection of redis-py, connected and without outstanding replies.
        plain: Its socket.
    """

    __slots__ = ("_calls_without_spin", "_read", "_reader", "_send", "connection")

    def __init__(self, connection: Any, plain: socket.socket) -> None:
        self.connection = connection
        timeout = float(connection.socket_timeout or 0.0)  # 0: none, as for the operating system
        timeval = struct.pack("ll", int(timeout), int(timeout % 1 * 1e6))
        plain.settimeout(None)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        self._send, self._read = plain.sendall, plain.recv
        self._calls_without_spin = 0 if _can_spin() else math.inf
        self._reader = hiredis.Reader(
            protocolError=exceptions.InvalidResponse,
            replyError=connection._parser.parse_error,
            notEnoughData=_NOT_ENOUGH_DATA,
        )

    def exchange(self, packed: bytes, number: int) -> list[Any]:
        """See `BlockingConnection`."""
        reader, read = self._reader, self._read_next
        replies: list[Any] = []
        try:
            self._send(packed)
            while len(replies) < number:
                data = read()
                if not data:
                    raise exceptions.ConnectionError("the connection was closed by the server")
                reader.feed(data)
                while (reply := reader.gets()) is not _NOT_ENOUGH_DATA:
                    if not isinstance(reply, hiredis.PushNotification):
                        replies.append(reply)
        except BlockingIOError as error:
            raise exceptions.TimeoutError("no reply in time") from error
        except OSError as error:
            raise exceptions.ConnectionError(f"the connection was lost: {error}") from error
        return replies

    def _read_next(self) -> bytes:
        if self._calls_without_spin > 0:
            self._calls_without_spin -= 1
            return self._read(_READ_BYTES)
        spin_until = time.perf_counter() + SPIN_SECONDS
        while True:
            os.sched_yield()  # other processes on this CPU go first, perhaps the server
            try:
                return self._read(_READ_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                if time.perf_counter() > spin_until:
                    break
        self._calls_without_spin = CALLS_WITHOUT_SPIN
        return self._read(_READ_BYTES)


def _can_spin() -> bool:
    """Return whether this process may use several CPUs, and can yield them."""
    return (
        hasattr(os, "sched_yield") and hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) > 1
    )


class RedisPyConnection:
    """A `BlockingConnection` through redis-py, for TLS and fake servers, which have no plain socket.

    Args:
        connection: A connection of redis-py.
    """

    __slots__ = ("connection",)

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def exchange(self, packed: bytes, number: int) -> list[Any]:
        """See `BlockingConnection`."""
        self.connection.send_packed_command([packed])
        return [self._read_reply() for _ in range(number)]

    def _read_reply(self) -> Any:
        try:
            return self.connection.read_response()
        except exceptions.ResponseError as error:
            return error


def take_over(connection: Any) -> BlockingConnection:
    """Take over a connection of redis-py."""
    plain = getattr(connection, "_sock", None)
    if type(plain) is socket.socket and hasattr(connection._parser, "parse_error") and os.name == "posix":
        return SocketConnection(connection, plain)
    return RedisPyConnection(connection)
