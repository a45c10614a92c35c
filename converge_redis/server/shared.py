"""The embedded server that all stores of a process share."""

import os
import threading

from converge_redis.server.embedded import EmbeddedServer


class _Shared:
    """The server that ``embedded_server`` hands out, and its lock."""

    def __init__(self) -> None:
        self.after_fork()

    def after_fork(self) -> None:
        """In a child: forget the parent's server, and the lock that another thread may have held."""
        self.lock = threading.Lock()
        self.server: EmbeddedServer | None = None


_shared = _Shared()
os.register_at_fork(after_in_child=_shared.after_fork)


def embedded_server() -> EmbeddedServer:
    """Return this process's embedded server, started at the first call and stopped at exit.

    All callers of one process share it; a forked child gets its own. When it has ended by itself, the
    next call starts an empty one.

    Returns:
        A running server on a unix socket.

    Raises:
        EmbeddedServerError: It cannot be started.
    """
    with _shared.lock:
        if _shared.server is None or not _shared.server.running:
            _shared.server = EmbeddedServer().start()
        return _shared.server
