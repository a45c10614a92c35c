"""The processes of a run, as the main process controls them."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from converge_redis.demo.folder import RunFolder
from converge_redis.demo.parent_watch import STOP

_STOP_TIMEOUT = 30.0


class FleetError(Exception):
    """A process of the fleet ended when it should not have."""


class Fleet:
    """Starts processes, and ends all of them when the context manager exits.

    Args:
        url: The server's URL, passed in the environment because all users can read command lines.
        folder: The folder of the run.
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
            role: ``submitter``, ``collector`` or ``worker``.
            name: The name of the worker; None for the other roles.
        """
        # -P: Python files in the working directory must not shadow the imported modules.
        command = [sys.executable, "-P", "-m", "converge_redis.demo", role, str(self._folder.path)]
        self._processes[name or role] = subprocess.Popen(
            command if name is None else [*command, name],
            stdin=subprocess.PIPE,
            bufsize=0,
            env=self._environment,
            start_new_session=True,  # Ctrl-C reaches the main process only, which ends the others
        )

    def has_finished(self, name: str) -> bool:
        """Return whether a process has ended after its work.

        Raises:
            FleetError: The process failed.
        """
        code = self._processes[name].poll()
        if code:
            raise FleetError(f"the process {name!r} ended with exit code {code}")
        return code == 0

    def check(self, names: Sequence[str]) -> None:
        """Check that processes are running.

        Raises:
            FleetError: A process has ended.
        """
        for name in names:
            code = self._processes[name].poll()
            if code is not None:
                raise FleetError(
                    f"the process {name!r} ended with exit code {code}, before the work was done"
                )

    def suspend(self, name: str) -> None:
        """Suspend a process (SIGSTOP), and wait until it is suspended.

        Raises:
            FleetError: The process has ended.
        """
        process = self._processes[name]
        process.send_signal(signal.SIGSTOP)
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise FleetError(f"the process {name!r} ended unexpectedly")

    def resume(self, name: str) -> None:
        """Resume a suspended process (SIGCONT)."""
        self._processes[name].send_signal(signal.SIGCONT)

    def kill(self, name: str) -> None:
        """End a process with SIGKILL."""
        self._processes[name].kill()
        self._processes[name].wait()

    def stop(self, names: Sequence[str]) -> None:
        """Tell workers to drain, and wait until they have ended.

        Raises:
            FleetError: A worker failed or did not end in time.
        """
        for name in names:
            stdin = self._processes[name].stdin
            assert stdin is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):  # it has ended already; its exit code is checked below
                stdin.write(STOP)
        for name in names:
            try:
                code = self._processes[name].wait(_STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                raise FleetError(f"the worker {name!r} did not end within {_STOP_TIMEOUT:.0f} s") from None
            if code != 0:
                raise FleetError(f"the worker {name!r} ended with exit code {code}")
