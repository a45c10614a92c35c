"""The pool of blocking connections: each call takes a free one, below redis-py's client."""

import contextlib
import os
import weakref
from collections.abc import Sequence
from typing import Any, cast

import redis
from hiredis import pack_command

from converge_redis.transport.blocking_connection import BlockingConnection, take_over
from converge_redis.transport.delivery import Parts


class BlockingPool:
    """Sends the calls of a process, from any of its threads.

    Connections are kept between calls. A call that finds its connection dead is sent again, as every call may
    be.

    Args:
        client: The client that makes the connections.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._pool = client.connection_pool
        self._free: list[BlockingConnection] = []
        self.is_closed = False
        _pools.add(self)

    def call(self, command: Parts) -> Any:
        """Send a command and return its reply, or raise the error that it is."""
        parts: Any = command  # pack_command accepts more than its annotations say
        (reply,) = self._exchange(pack_command(parts), 1)
        if isinstance(reply, Exception):
            raise reply
        return reply

    def exchange(self, commands: Sequence[Parts]) -> list[Any]:
        """Send commands in one write; return their replies and reply errors."""
        packed = b"".join(pack_command(cast("Any", command)) for command in commands)
        return self._exchange(packed, len(commands))

    def _exchange(self, packed: bytes, number: int) -> list[Any]:
        connection: BlockingConnection | None = None
        try:
            try:
                connection = self._free.pop()
            except IndexError:
                connection = take_over(self._pool.get_connection())
            replies = connection.exchange(packed, number)
        except BaseException as error:  # the next call would take an unread reply for its own
            if connection is not None:
                self._drop(connection)
            while self._free:  # their server may have gone too
                with contextlib.suppress(IndexError):
                    self._drop(self._free.pop())
            if not isinstance(error, Exception):  # an interrupt may have left a connection half made
                self._pool.disconnect(inuse_connections=False)
            raise
        if self.is_closed:
            self._pool.release(connection.connection)
        else:
            self._free.append(connection)
        return replies

    def _drop(self, connection: BlockingConnection) -> None:
        connection.connection.disconnect()
        self._pool.release(connection.connection)

    def reset_after_fork(self) -> None:
        """In a forked child, drop the connections without closing them: the parent goes on using them."""
        self._free = []


_pools = weakref.WeakSet[BlockingPool]()


def _reset_after_fork() -> None:
    for pool in _pools:
        pool.reset_after_fork()


os.register_at_fork(after_in_child=_reset_after_fork)
