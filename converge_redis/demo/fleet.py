"""The processes of a run, as the main process sees them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from converge_redis.demo.folder import RunFolder
from converge_redis.demo.lifeline import STOP

_STOP_SEC = 10.0


class FleetError(Exception):
    """A process of the fleet ended when it should not have."""


class Fleet:
    """Starts processes and ends them; as a context manager it leaves none behind.

    Args:
        url: The server's URL. It travels in the environment, since command lines are public.
        folder: The run.
    """

    def __init__(self, url: str, folder: RunFolder) -> None:
        path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
        self._environment = {**os.environ, "CONVERGE_REDIS_URL": url, "PYTHONPATH": path}
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()
            assert process.stdin is not None  # noqa: S101
            process.stdin.close()

    @property
    def started(self) -> int:
        """The number of processes that were started."""
        return len(self._processes)

    def start(self, role: str, name: str | None = None) -> None:
        """Start a process.

        Args:
            role: What it is to be.
            name: The name of the worker, if it is one.
        """
        # -P: a folder of Python files may well be the working directory, and must not hide what is imported.
        command = [sys.executable, "-P", "-m", "converge_redis.demo", role, str(self._folder.path)]
        self._processes[name or role] = subprocess.Popen(
            command if name is None else [*command, name],
            stdin=subprocess.PIPE,
            bufsize=0,
            env=self._environment,
            start_new_session=True,  # Ctrl-C is for the main process, which then ends the others
        )

    def has_finished(self, name: str) -> bool:
        """Tell whether a process has done its work.

        Raises:
            FleetError: It has failed.
        """
        code = self._processes[name].poll()
        if code:
            raise FleetError(f"the process {name!r} ended with exit code {code}")
        return code == 0

    def check(self, names: Sequence[str]) -> None:
        """Check that processes are at work.

        Raises:
            FleetError: One is not.
        """
        for name in names:
            code = self._processes[name].poll()
            if code is not None:
                raise FleetError(
                    f"the process {name!r} ended with exit code {code}, before the work was done"
                )

    def freeze(self, name: str) -> None:
        """Stop a process where it stands, and wait until it has stopped.

        Raises:
            FleetError: It has ended instead.
        """
        process = self._processes[name]
        process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise FleetError(f"the process {name!r} ended by itself")

    def thaw(self, name: str) -> None:
        """Let a frozen process go on."""
        self._processes[name].send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """End a process with SIGKILL."""
        self._processes[name].kill()
        self._processes[name].wait()

    def stop(self, names: Sequence[str]) -> None:
        """Ask processes to end, and wait until they have.

        Raises:
            FleetError: One failed, or did not end.
        """
        for name in names:
            stdin = self._processes[name].stdin
            assert stdin is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):  # it has ended already; its exit code tells how
                stdin.write(STOP)
        for name in names:
            try:
                code = self._processes[name].wait(_STOP_SEC)
            except subprocess.TimeoutExpired:
                raise FleetError(f"the worker {name!r} did not end when it was asked to") from None
            if code != 0:
                raise FleetError(f"the worker {name!r} ended with exit code {code}")
