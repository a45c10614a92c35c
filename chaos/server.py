"""The server under test: an embedded server with an append-only file, which is killed and restarted."""

import os
import signal
import socket
import time
from pathlib import Path
from random import Random

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from converge_redis import EmbeddedServer
from converge_redis.server.embedded import AppendFsync

START_SECONDS = 30.0
FLUSH_SECONDS = 2.0


class Server:
    """A server that keeps its port and its data when it is killed.

    Args:
        folder: The folder of its data.
        appendfsync: When the data is flushed to disk.
    """

    def __init__(self, folder: Path, appendfsync: AppendFsync) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self._appendfsync = appendfsync
        self._server = EmbeddedServer(
            port=self.port, data_dir=folder, appendfsync=appendfsync, start_timeout=START_SECONDS
        )
        self._client: redis.Redis | None = None

    @property
    def url(self) -> str:
        """Its URL, without the proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a client of the main process, whose connection no fault affects."""
        if self._client is None:
            self._client = redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=10.0)
        return self._client

    def start(self) -> None:
        """Start it, and wait until it has loaded its data."""
        self._server.start()

    def kill(self, random: Random) -> None:
        """Kill it with SIGKILL.

        With ``everysec``, a server whose disk is busy with a flush delays writes for up to two seconds, but
        acknowledges them at once. These are lost with the process, which is documented behaviour; so wait
        until no flush is pending. With ``always``, no write is delayed.
        """
        if self._appendfsync == "everysec":
            deadline = time.monotonic() + FLUSH_SECONDS
            while self.client().info("persistence")["aof_pending_bio_fsync"] and time.monotonic() < deadline:
                pass
        time.sleep(random.uniform(0.0, 0.0005))
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self.client().close()

    def suspend(self) -> None:
        """Suspend it (SIGSTOP)."""
        os.kill(self._server.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Resume it (SIGCONT)."""
        os.kill(self._server.pid, signal.SIGCONT)

    def stop(self) -> None:
        """Stop it."""
        self.client().close()
        self._server.stop()
