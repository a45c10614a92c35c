"""A process that ends with the one that started it, even when that one is killed."""

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
# Loaded here, since a child should not need the loader's locks between fork and exec.
_prctl: Callable[..., int] | None = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ChildProcess:
    """A process that ends with this one, however this one ends.

    Linux sends the "parent death" signal when the *thread* that spawned the child ends. So each child has
    a daemon thread of its own, which spawns it, waits for it and reaps it.

    Attributes:
        pid: The process id.
        returncode: The exit code, or minus the signal, once ``ended`` is set.
        ended: Set when the process has ended and was reaped.
    """

    def __init__(self, command: list[str], log: Path, inherited: int | None) -> None:
        self.returncode: int | None = None
        self.ended = threading.Event()
        spawned: Future[int] = Future()
        run = threading.Thread(target=self._run, args=(command, log, inherited, spawned), daemon=True)
        run.start()
        self.pid = spawned.result()

    def end(self, first: signal.Signals) -> None:
        """Send the signal ``first``, and SIGKILL when the process is still there ``_STOP_TIMEOUT`` later."""
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
                    env={**_TUNED, **os.environ, "LC_ALL": "C"},  # English, and no locale that is missing
                    pass_fds=() if inherited is None else (inherited,),
                    start_new_session=True,  # Ctrl-C is for the parent, which then stops the server
                    preexec_fn=_prctl and _end_with_parent(_prctl, os.getpid()),  # noqa: PLW1509
                )
        except BaseException as error:
            spawned.set_exception(error)
            return
        with contextlib.nullcontext() if _prctl else _watcher(process.pid):
            spawned.set_result(process.pid)
            self.returncode = process.wait()
        self.ended.set()


# Scripts make and drop many small tables. With longer lists of free pieces the C library of Linux takes a
# fifth less time for a script; others ignore the variable.
_TUNED = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=2000"}


def _end_with_parent(prctl: Callable[..., int], parent: int) -> Callable[[], None]:
    """Return what a child runs before its exec on Linux, so that it is killed when ``parent`` ends."""

    def before_exec() -> None:
        if prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError("prctl(PR_SET_PDEATHSIG) was refused")
        if os.getppid() != parent:  # the parent ended before prctl, so that no signal will come
            os._exit(1)

    return before_exec


_watcher_pipes: set[int] = set()


def _close_watcher_pipes() -> None:
    """In a forked child: a copy of a pipe would keep the parent's watcher waiting."""
    while _watcher_pipes:
        os.close(_watcher_pipes.pop())


os.register_at_fork(after_in_child=_close_watcher_pipes)


@contextlib.contextmanager
def _watcher(pid: int) -> Iterator[None]:
    """Have ``pid`` killed when this process ends, where there is no prctl (macOS).

    A shell waits on a pipe whose other end is open in this process only, and so closes with it.
    """
    read_end, write_end = os.pipe()
    _watcher_pipes.add(write_end)
    script = 'read -r line; kill -KILL "$0"'
    shell = subprocess.Popen(["/bin/sh", "-c", script, str(pid)], stdin=read_end, start_new_session=True)
    os.close(read_end)
    try:
        yield
    finally:
        shell.kill()  # before its pipe closes: the pid may be another process's by now
        shell.wait()
        _watcher_pipes.remove(write_end)
        os.close(write_end)
