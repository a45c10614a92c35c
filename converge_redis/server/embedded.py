"""The embedded server: a Redis or Valkey server for one machine, started by the process that needs it.

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

_SOCKET_PATH_BYTES = 103  # macOS allows 104 and Linux 108, including the final NUL
_PORT_ATTEMPTS = 20


class EmbeddedServer:
    """A Redis or Valkey server owned by this process; a context manager.

    It belongs to the process that started it: a forked child may use its ``url``, and ``stop()`` does nothing
    in the child. When the owner is killed, the server ends, but its private folder (a socket and a log) stays
    in the temporary directory.

    Args:
        port: ``None`` for a unix socket only, which other users cannot open; ``0`` for a free TCP port of
            127.0.0.1; else that port of 127.0.0.1. Every local user can connect to a TCP port.
        data_dir: Folder for an append-only file, which the next server with this folder reads; created if
            missing. ``None``: the data is lost when the server ends.
        appendfsync: When the file is flushed to disk: ``"everysec"`` or ``"always"``.
        binary: The server's binary; default: the result of ``find_server_binary``.
        start_timeout: Seconds until the server must answer, including the time to load ``data_dir``.

    Raises:
        InvalidValueError: An argument has an invalid value.
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
        self._owner: int | None = None  # the process that started the server
        self._folder: Path | None = None
        self._child: ChildProcess | None = None
        self._url: str | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The URL for clients: ``unix:///path?db=0`` or ``redis://127.0.0.1:port/0``."""
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
        """Whether this process has started the server, and the server still runs."""
        return self._child is not None and self._owner == os.getpid() and not self._child.ended.is_set()

    def start(self) -> Self:
        """Start the server and wait until it answers; do nothing when it already runs.

        Returns:
            This instance.

        Raises:
            EmbeddedServerError: No binary was found, the port or the folder is in use, or the server did
                not answer within ``start_timeout``; the message has the last lines of its log.
        """
        if self._owner not in {None, os.getpid()}:
            raise EmbeddedServerError(
                f"this embedded server belongs to process {self._owner}: use its url, or make another one"
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
        """Stop the server and remove its private folder; do nothing when it does not run.

        A server with a ``data_dir`` flushes its data first. Does nothing in a forked child of the process
        that started the server.
        """
        if self._owner == os.getpid():
            with self._lock:
                self._clean_up()

    close = stop  # the name that `contextlib.closing` calls

    def __repr__(self) -> str:
        return f"EmbeddedServer(url={self._url if self.running else None!r})"

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server has ended, for whatever reason.

        Args:
            timeout: Seconds to wait; ``None``: no limit.

        Returns:
            Whether it has ended.
        """
        child = self._child
        return child is None or child.ended.wait(timeout)

    def log_tail(self) -> str:
        """Return the last lines of the server's log, for error messages."""
        if self._folder is not None:
            with contextlib.suppress(FileNotFoundError):  # a cleaner of temporary files may have deleted it
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
                # Another process may take a free port before the server binds it.
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
        # On the unix socket, since another server might answer on the TCP port.
        socket_url = f"unix://{quote(str(folder / 's'))}?db=0"
        problem = _await_pong(socket_url, child.ended, deadline)
        if child.ended.is_set():
            return (
                f"ended with code {child.returncode} at start; the last lines of its log:\n{self.log_tail()}"
            )
        if problem is not None:
            limit = f"start_timeout={self._start_timeout} seconds"
            return f"did not answer within {limit} ({problem}); the last lines of its log:\n{self.log_tail()}"
        self._url = socket_url if port is None else f"redis://127.0.0.1:{port}/0"
        return None

    def _clean_up(self) -> None:
        atexit.unregister(self.stop)
        if self._child is not None:
            # Without data to flush, SIGTERM would only cost the up to 100 ms until the server handles it.
            self._child.end(signal.SIGKILL if self._data_dir is None else signal.SIGTERM)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._child = self._folder = self._url = self._owner = None


def _await_pong(url: str, ended: threading.Event, deadline: float) -> Exception | None:
    """Wait until a server answers at ``url`` or has ended; return the last error, None when it answers."""
    import redis  # noqa: PLC0415 - takes 160 ms, too slow for --help
    from redis.backoff import NoBackoff  # noqa: PLC0415
    from redis.retry import Retry  # noqa: PLC0415

    problem: Exception | None = None
    with redis.Redis.from_url(url, retry=Retry(NoBackoff(), 0), socket_timeout=1.0) as client:
        while not ended.wait(0.005):
            try:
                client.ping()
            except (
                redis.ConnectionError,
                redis.TimeoutError,
            ) as error:  # no socket yet, or the data is loading
                problem = error
            else:
                return None
            if time.monotonic() > deadline:
                break
    return problem


def _private_folder() -> Path:
    """Make a folder that only this user can enter, with a path short enough for a unix socket."""
    for parent in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - mkdtemp makes this safe
        if len(os.fsencode(parent)) + len("/converge-12345678/s") <= _SOCKET_PATH_BYTES:
            with contextlib.suppress(OSError):
                return Path(tempfile.mkdtemp(prefix="converge-", dir=parent))
    raise EmbeddedServerError(
        f"no folder for a unix socket: {tempfile.gettempdir()} is not writable, or its path is too long for "
        "a socket, and /tmp is not writable; set TMPDIR to a writable folder with a short path"
    )


@contextlib.contextmanager
def _locked(folder: Path, deadline: float) -> Iterator[int]:
    """Create a data folder if missing, and lock it: a second server would corrupt the append-only file.

    Yields:
        A file descriptor that the server inherits, so that the lock lasts as long as the server runs.
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
            except BlockingIOError:  # perhaps held by a killed server that has not ended yet
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
