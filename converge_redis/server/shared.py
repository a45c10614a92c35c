"""The embedded server shared by all stores of a process."""

import os
import threading

from converge_redis.server.embedded import EmbeddedServer


class _Shared:
    """The server that ``embedded_server`` returns, and its lock."""

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Drop the parent's server and its lock, which another thread may have held."""
        self.lock = threading.Lock()
        self.server: EmbeddedServer | None = None


_shared = _Shared()
os.register_at_fork(after_in_child=_shared.reset_after_fork)


def embedded_server() -> EmbeddedServer:
    """Return this process's embedded server, started at the first call and stopped at exit.

    All callers in a process share it; a forked child gets another one. When it has ended unexpectedly, the
    next call starts an empty one.

    Returns:
        A running server on a unix socket.

    Raises:
        EmbeddedServerError: The server cannot be started.
    """
    with _shared.lock:
        if _shared.server is None or not _shared.server.running:
            _shared.server = EmbeddedServer().start()
        return _shared.server
