"""The server under test: real, with an append-only file, on one port; killed and started anew."""

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
    """A server that keeps its port and its data over a kill.

    Args:
        folder: Where its data are.
        appendfsync: When they are flushed to disk.
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
        """Where it listens, without a proxy."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a connection of the suite's own, which no fault touches."""
        if self._client is None:
            self._client = redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0), socket_timeout=10.0)
        return self._client

    def start(self) -> None:
        """Start it, and wait until it has read its data."""
        self._server.start()

    def kill(self, random: Random) -> None:
        """Kill it with SIGKILL.

        With ``everysec``, a server whose disk is busy with a flush puts off its writes for up to two seconds,
        and acknowledges them before. That is lost with the process, and known; so the kill waits for the end
        of a flush. With ``always``, nothing is put off.
        """
        if self._appendfsync == "everysec":
            ends = time.monotonic() + FLUSH_SECONDS
            while self.client().info("persistence")["aof_pending_bio_fsync"] and time.monotonic() < ends:
                pass
        time.sleep(random.uniform(0.0, 0.0005))
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.wait()
        self.client().close()

    def pause(self) -> None:
        """Stop it where it stands."""
        os.kill(self._server.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._server.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        self.client().close()
        self._server.stop()
