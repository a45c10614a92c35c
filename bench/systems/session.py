"""The session of a system: its client process, its workers, and the file of marks."""

import contextlib
import json
import mmap
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.systems.environments import prepare
from bench.systems.peers import System

POLL_SECONDS = 0.002
MAX_SECONDS = 60.0


class SystemFailedError(Exception):
    """The driver of a system failed, or did not finish in time."""


class Session:
    """The client of a system, in its own process.

    Args:
        system: The system.
        url: The server's URL.
        cpu: The CPU for the client; None: any.
    """

    def __init__(self, system: System, url: str, cpu: int | None = None) -> None:
        self._system = system
        self._url = url
        self._command = prepare(system)
        self._environment = {**os.environ, **self._command.environment}
        self._process = self._start("client", self._url)
        if cpu is not None:
            os.sched_setaffinity(self._process.pid, {cpu})
        self._read()

    def call(self, method: str, **arguments: Any) -> Any:
        """Call a method of the client (``drivers/driver_protocol.py``), and return its result.

        Raises:
            SystemFailedError: The client failed.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"method": method, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise SystemFailedError(f"{self._system.name}: {method}: {answer['error']}")
        return answer["result"]

    @contextlib.contextmanager
    def workers(self, number: int, tasks: int) -> Iterator["Marks"]:
        """Start worker processes for tasks with numbers below `tasks`, and end them after the block."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "marks"
            path.write_bytes(bytes(tasks))
            processes = [
                self._start("worker", self._url, str(path), str(self._system.concurrency))
                for _ in range(number)
            ]
            try:
                yield Marks(path, self._system.name)
            finally:
                _end(processes)

    def close(self) -> None:
        """End the client."""
        _end([self._process])

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self, *arguments: str) -> "subprocess.Popen[str]":
        is_client = arguments[0] == "client"
        return subprocess.Popen(
            [*self._command.command, *arguments],
            stdin=subprocess.PIPE if is_client else subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_client else subprocess.DEVNULL,
            stderr=None if "CONVERGE_BENCH_LOUD" in os.environ else subprocess.DEVNULL,
            env=self._environment,
            text=True,
        )

    def _read(self) -> Any:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # skip the output of libraries
                return json.loads(line)
        raise SystemFailedError(
            f"the client of {self._system.name} ended with exit code {self._process.wait()}; "
            "set CONVERGE_BENCH_LOUD to see its error output"
        )


def fill(session: Session, first: int, count: int) -> None:
    """Submit tasks in bulk, or one by one if the system has no bulk submit."""
    if session.call("submit_bulk", first=first, count=count) is None:
        session.call("submit", first=first, count=count)


class Marks:
    """The marks of handled tasks.

    Args:
        path: The file.
        name: The name of the system, for error messages.
    """

    def __init__(self, path: Path, name: str) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)
        self._name = name

    def wait_first(self) -> tuple[int, float]:
        """Wait until a task is handled; return how many are, and the time."""
        self._wait(lambda: self._bytes.find(b"\1") >= 0)
        return self.handled(), time.perf_counter()

    def wait_all(self) -> float:
        """Wait until all tasks are handled; return the time."""
        position = 0

        def are_all_handled() -> bool:
            nonlocal position
            position = self._bytes.find(b"\0", position)
            return position < 0

        self._wait(are_all_handled)
        return time.perf_counter()

    def handled(self) -> int:
        """Return the number of handled tasks."""
        return len(self._bytes) - self._bytes[:].count(0)

    def _wait(self, condition: Any) -> None:
        deadline = time.monotonic() + MAX_SECONDS
        while not condition():
            if time.monotonic() > deadline:
                raise SystemFailedError(
                    f"the workers of {self._name} have handled {self.handled()} of {len(self._bytes)} tasks "
                    f"in {MAX_SECONDS:.0f} s"
                )
            time.sleep(POLL_SECONDS)


def _end(processes: "list[subprocess.Popen[str]]") -> None:
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(5.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
