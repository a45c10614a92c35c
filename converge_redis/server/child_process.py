"""A child process that ends with its parent, even when the parent is killed."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

_STOP_TIMEOUT = 10.0

_PR_SET_PDEATHSIG = 1
# Loaded at import: between fork and exec a child must not wait for the loader's locks.
_prctl: Callable[..., int] | None = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ChildProcess:
    """A child process that ends when this process ends, for whatever reason.

    Linux sends the "parent death" signal when the *thread* that spawned the child ends. So each child has
    its own daemon thread, which spawns it, waits for it and reaps it.

    Attributes:
        pid: The process id.
        returncode: The exit code, or the negated signal number, once ``ended`` is set.
        ended: Set when the process has ended and has been reaped.
    """

    def __init__(self, command: list[str], log: Path, inherited: int | None) -> None:
        self.returncode: int | None = None
        self.ended = threading.Event()
        spawned: Future[int] = Future()
        run = threading.Thread(target=self._run, args=(command, log, inherited, spawned), daemon=True)
        run.start()
        self.pid = spawned.result()

    def end(self, first: signal.Signals) -> None:
        """Send the signal ``first``; send SIGKILL if the process has not ended after ``_STOP_TIMEOUT``."""
        for number in (first, signal.SIGKILL):
            if not self.ended.is_set():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.pid, number)
                self.ended.wait(_STOP_TIMEOUT)

    def _run(self, command: list[str], log: Path, inherited: int | None, spawned: Future[int]) -> None:
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env={
                        **_ENVIRONMENT,
                        **os.environ,
                        "LC_ALL": "C",
                    },  # messages in English, without a locale that may be missing
                    pass_fds=() if inherited is None else (inherited,),
                    start_new_session=True,  # Ctrl-C reaches the parent only, which stops the server
                    preexec_fn=_prctl and _end_with_parent(_prctl, os.getpid()),  # noqa: PLW1509
                )
        except BaseException as error:
            spawned.set_exception(error)
            return
        with contextlib.nullcontext() if _prctl else _watcher(process.pid):
            spawned.set_result(process.pid)
            self.returncode = process.wait()
        self.ended.set()


# Scripts allocate and free many small tables. Longer free lists of glibc save a fifth of the time of a
# script; other C libraries ignore the variable.
_ENVIRONMENT = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"}


def _end_with_parent(prctl: Callable[..., int], parent: int) -> Callable[[], None]:
    """Return the function that a child runs before exec: it is killed when ``parent`` ends (Linux)."""

    def before_exec() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError("prctl(PR_SET_PDEATHSIG) was refused")
        if os.getppid() != parent:  # the parent ended before prctl: no signal will come
            os._exit(1)

    return before_exec


_watcher_pipes: set[int] = set()


def _close_watcher_pipes() -> None:
    """Close the copies of the pipes in a forked child; they would keep the parent's watchers alive."""
    while _watcher_pipes:
        os.close(_watcher_pipes.pop())


os.register_at_fork(after_in_child=_close_watcher_pipes)


@contextlib.contextmanager
def _watcher(pid: int) -> Iterator[None]:
    """Kill ``pid`` when this process ends, on systems without prctl (macOS).

    A shell reads from a pipe whose other end is open in this process only, and so closes with it.
    """
    read_end, write_end = os.pipe()
    _watcher_pipes.add(write_end)
    script = 'read -r line; kill -KILL "$0"'
    shell = subprocess.Popen(["/bin/sh", "-c", script, str(pid)], stdin=read_end, start_new_session=True)
    os.close(read_end)
    try:
        yield
    finally:
        shell.kill()  # before its pipe closes: the pid may belong to another process by now
        shell.wait()
        _watcher_pipes.remove(write_end)
        os.close(write_end)
