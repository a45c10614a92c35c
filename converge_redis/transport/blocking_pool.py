"""Blocking calls: each on a connection that is free, without the layers of redis-py's client above it."""

import contextlib
import os
import weakref
from collections.abc import Sequence
from typing import Any, cast

import redis
from hiredis import pack_command

from converge_redis.transport.blocking_connection import BlockingLine, line_over
from converge_redis.transport.delivery import Parts


class BlockingCalls:
    """Sends the calls of a process, from any of its threads.

    Connections are kept between calls. One that has died meanwhile is noticed by the call, which is then made
    again, as every call may be.

    Args:
        client: The client that makes the connections.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._free: list[BlockingLine] = []
        self.is_closed = False
        _all.add(self)

    def call(self, command: Parts) -> Any:
        """Send a command and return its reply, or raise the error that it is."""
        parts: Any = command  # pack_command's own types ask for less than it takes
        (reply,) = self._exchange(pack_command(parts), 1)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def exchange(self, commands: Sequence[Parts]) -> list[Any]:
        """Send commands in one write; returns replies and reply errors."""
        packed = b"".join(pack_command(cast("Any", command)) for command in commands)
        return self._exchange(packed, len(commands))

    def _exchange(self, packed: bytes, number: int) -> list[Any]:
        line: BlockingLine | None = None
        try:
            try:
                line = self._free.pop()
            except IndexError:
                line = line_over(self._pool.get_connection())
            replies = line.exchange(packed, number)
        except BaseException as error:  # a reply that was not read would be taken for that of the next call
            if line is not None:
                self._drop(line)
            while self._free:  # they may have died with it
                with contextlib.suppress(IndexError):
                    self._drop(self._free.pop())
            if not isinstance(error, Exception):  # an interrupt may have left something half made
                self._pool.disconnect(inuse_connections=False)
            raise
        if self.is_closed:
            self._pool.release(line.connection)
        else:
            self._free.append(line)
        return replies

    def _drop(self, line: BlockingLine) -> None:
        line.connection.disconnect()
        self._pool.release(line.connection)

    def forget(self) -> None:
        """In a forked child: the parent goes on using its connections."""
        self._free = []


_all = weakref.WeakSet[BlockingCalls]()


def _forget() -> None:
    for calls in _all:
        calls.forget()


os.register_at_fork(after_in_child=_forget)
