"""A real Redis or Valkey server for one machine, started by the process that needs it.

The server listens on a unix socket that only this user can open, or on a TCP port of 127.0.0.1, and never
on another address. It ends with the process that started it, even when that process is killed.
"""

import atexit
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, Self, get_args
from urllib.parse import quote

from converge_redis.errors import EmbeddedServerError, InvalidValueError
from converge_redis.server.binary import find_server_binary
from converge_redis.server.child_process import ChildProcess

AppendFsync = Literal["everysec", "always"]

_SOCKET_PATH_BYTES = 103  # macOS has room for 104 and Linux for 108, the closing NUL included
_PORT_ATTEMPTS = 20


class EmbeddedServer:
    """A server of this process's own; a context manager.

    It belongs to the process that started it: after a fork the child may use its ``url``, and the child's
    ``stop()`` does nothing. When that process is killed, the server ends, but its private folder (a socket
    and a log) stays in the temporary directory.

    Args:
        port: ``None`` for a unix socket only, which other users cannot open; ``0`` for a free TCP port of
            127.0.0.1; else that port of 127.0.0.1. Every local user can connect to a TCP port.
        data_dir: Folder for an append-only file, which the next server on this folder reads; made if
            missing. ``None``: the data ends with the server.
        appendfsync: When that file is flushed to disk: ``"everysec"`` or ``"always"``.
        binary: The server to run; by default what ``find_server_binary`` finds.
        start_timeout: Seconds until the server must answer, the reading of ``data_dir`` included.

    Raises:
        InvalidValueError: An argument has a value that is not allowed.
    """

    def __init__(
        self,
        *,
        port: int | None = None,
        data_dir: Path | str | None = None,
        appendfsync: AppendFsync = "everysec",
        binary: Path | str | None = None,
        start_timeout: float = 10.0,
    ) -> None:
        if port is not None and not 0 <= port <= 65535:
            raise InvalidValueError(f"port must be None or 0 to 65535, not {port!r}")
        if appendfsync not in get_args(AppendFsync):
            raise InvalidValueError(f"appendfsync must be 'everysec' or 'always', not {appendfsync!r}")
        if not start_timeout > 0:
            raise InvalidValueError(f"start_timeout must be more than 0 seconds, not {start_timeout!r}")
        self._port = port
        self._data_dir = None if data_dir is None else Path(data_dir).absolute()
        self._appendfsync = appendfsync
        self._binary = None if binary is None else Path(binary)
        self._start_timeout = start_timeout
        self._lock = threading.Lock()
        self._owner: int | None = None  # the process that has started the server
        self._folder: Path | None = None
        self._child: ChildProcess | None = None
        self._url: str | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """What clients connect to: ``unix:///path?db=0`` or ``redis://127.0.0.1:port/0``."""
        if self._url is None:
            raise EmbeddedServerError("the embedded server has no url: it is not started")
        return self._url

    @property
    def pid(self) -> int:
        """The process id of the server."""
        if self._child is None:
            raise EmbeddedServerError("the embedded server has no pid: it is not started")
        return self._child.pid

    @property
    def running(self) -> bool:
        """Whether this process has started the server, and it has not ended since."""
        return self._child is not None and self._owner == os.getpid() and not self._child.ended.is_set()

    def start(self) -> Self:
        """Start the server and wait until it answers; does nothing when it runs already.

        Returns:
            This instance.

        Raises:
            EmbeddedServerError: No binary was found, the port or the folder is in use, or the server did
                not answer within ``start_timeout``; the message holds the last lines of its log.
        """
        if self._owner not in {None, os.getpid()}:
            raise EmbeddedServerError(
                f"this embedded server belongs to process {self._owner}: use its url, or make one of your own"
            )
        with self._lock:
            if self.running:
                return self
            self._clean_up()
            self._owner = os.getpid()
            atexit.register(self.stop)
            try:
                self._start(time.monotonic() + self._start_timeout)
            except BaseException:
                self._clean_up()
                raise
        return self

    def stop(self) -> None:
        """Stop the server and remove its private folder; does nothing when it does not run.

        A server with a ``data_dir`` flushes its data first. In a fork of the process that started the
        server this does nothing.
        """
        if self._owner == os.getpid():
            with self._lock:
                self._clean_up()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server has ended, by ``stop()`` or by itself.

        Args:
            timeout: Seconds to wait; ``None`` for no limit.

        Returns:
            Whether it has ended.
        """
        child = self._child
        return child is None or child.ended.wait(timeout)

    def log_tail(self) -> str:
        """Return the last lines that the server has written to its log, for messages to people."""
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):  # cleaners of old temporary files may have come by
                return "\n".join((self._folder / "log").read_text(errors="replace").splitlines()[-10:])
        return ""

    def _start(self, deadline: float) -> None:
        binary = self._binary or find_server_binary()
        self._folder = _private_folder()
        with contextlib.ExitStack() as stack:
            lock = None
            if self._data_dir is not None:
                lock = stack.enter_context(_locked(self._data_dir, deadline))
            for attempts_left in reversed(range(_PORT_ATTEMPTS)):
                port = _free_port() if self._port == 0 else self._port
                problem = self._launch(binary, self._folder, port, lock, deadline)
                if problem is None:
                    return
                # Between the choice of a free port and its use another process may take it.
                port_was_taken = self._port == 0 and "Address already in use" in problem
                if not (port_was_taken and attempts_left):
                    raise EmbeddedServerError(f"the embedded server ({binary}) {problem}")

    def _launch(
        self, binary: Path, folder: Path, port: int | None, lock: int | None, deadline: float
    ) -> str | None:
        """Start the binary once; return what went wrong."""
        # fmt: off
        command = [
            str(binary),
            "--bind", "127.0.0.1",
            "--port", str(port or 0),  # 0: no TCP
            "--unixsocket", str(folder / "s"),
            "--unixsocketperm", "700",
            "--dir", str(self._data_dir or folder),
            "--save", "",
            "--appendonly", "no" if self._data_dir is None else "yes",
            "--appendfsync", self._appendfsync,
            "--maxmemory-policy", "noeviction",
            "--daemonize", "no",
            "--loglevel", "warning",
        ]
        # fmt: on
        try:
            child = self._child = ChildProcess(command, folder / "log", lock)
        except (OSError, subprocess.SubprocessError) as error:
            return f"cannot be run: {error}"
        # Asked for on the unix socket, since on a TCP port another server might answer.
        socket_url = f"unix://{quote(str(folder / 's'))}?db=0"
        problem = _await_pong(socket_url, child.ended, deadline)
        if child.ended.is_set():
            return f"ended with code {child.returncode} at its start; its last lines:\n{self.log_tail()}"
        if problem is not None:
            limit = f"start_timeout={self._start_timeout} seconds"
            return f"did not answer within {limit} ({problem}); its last lines:\n{self.log_tail()}"
        self._url = socket_url if port is None else f"redis://127.0.0.1:{port}/0"
        return None

    def _clean_up(self) -> None:
        atexit.unregister(self.stop)
        if self._child is not None:
            # With nothing to flush, SIGTERM would only cost the up to 100 ms until the server looks at it.
            self._child.end(signal.SIGKILL if self._data_dir is None else signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._child = self._folder = self._url = self._owner = None


def _await_pong(url: str, ended: threading.Event, deadline: float) -> Exception | None:
    """Wait until a server answers at ``url``, or has ended; return what still ails at the deadline."""
    import redis  # noqa: PLC0415 - costs 160 ms, which a command line's --help should not pay
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    problem: Exception | None = None
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=1.0) as client:
        while not ended.wait(0.005):
            try:
                client.ping()
            except (redis.ConnectionError, redis.TimeoutError) as error:  # no socket yet, or loading data
                problem = error
            else:
                return None
            if time.monotonic() > deadline:
                break
    return problem


def _private_folder() -> Path:
    """Make a folder that only this user can enter, with a path short enough for a unix socket in it."""
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp is safe there
        if len(os.fsencode(parent)) + len("/converge-12345678/s") <= _SOCKET_PATH_BYTES:
            with contextlib.suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="converge-", dir=parent))
    raise EmbeddedServerError(
        f"no place for a unix socket: {tempfile.gettempdir()} is not writable or its path is longer than a "
        "socket's may be, and /tmp is not writable; set TMPDIR to a short, writable folder"
    )


@contextlib.contextmanager
def _locked(folder: Path, deadline: float) -> Iterator[int]:
    """Lock a data folder, made if missing, against a second server, which would ruin the first one's file.

    Yields:
        A file descriptor for the server to inherit: the lock then lasts exactly as long as its process.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "converge-redis.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise EmbeddedServerError(f"data_dir {folder} cannot be used: {error}") from error
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:  # perhaps by a server that was killed and takes a moment to end
                if time.monotonic() > deadline:
                    raise EmbeddedServerError(f"data_dir {folder} is in use by another server") from None
                time.sleep(0.01)
        yield lock
    finally:
        os.close(lock)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
