"""Driving one system: its client process, its workers, and the file of marks."""

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

LOOK_SECONDS = 0.002
MOST_SECONDS = 60.0


class SystemFailedError(Exception):
    """A system's driver has failed, or did not finish in time."""


class Session:
    """A system's client, in a process of its own, on one server.

    Args:
        system: The system.
        url: The server.
        cpu: The CPU that the client is to run on; None: any.
    """

    def __init__(self, system: System, url: str, cpu: int | None = None) -> None:
        self._system = system
        self._url = url
        self._prepared = prepare(system)
        self._environment = {**os.environ, **self._prepared.environment}
        self._process = self._start("client", self._url)
        if cpu is not None:
            os.sched_setaffinity(self._process.pid, {cpu})
        self._read()

    def ask(self, do: str, **arguments: Any) -> Any:
        """Ask the client something (``drivers/dialogue.py``), and return the answer.

        Raises:
            SystemFailedError: The client has failed.
        """
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._read()
        if "error" in answer:
            raise SystemFailedError(f"{self._system.name}: {do}: {answer['error']}")
        return answer["result"]

    @contextlib.contextmanager
    def workers(self, number: int, tasks: int) -> Iterator["Marks"]:
        """Start worker processes for tasks with the numbers below `tasks`; they are ended with the block."""
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
            [*self._prepared.command, *arguments],
            stdin=subprocess.PIPE if is_client else subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_client else subprocess.DEVNULL,
            stderr=None if "CONVERGE_BENCH_LOUD" in os.environ else subprocess.DEVNULL,
            env=self._environment,
            text=True,
        )

    def _read(self) -> Any:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line.startswith("{"):  # else something that a library prints
                return json.loads(line)
        raise SystemFailedError(
            f"the client of {self._system.name} has ended with {self._process.wait()}; "
            "set CONVERGE_BENCH_LOUD to see what it says"
        )


def fill(session: Session, first: int, count: int) -> None:
    """Submit tasks in the quickest way that the system has."""
    if session.ask("submit_bulk", first=first, count=count) is None:
        session.ask("submit", first=first, count=count)


class Marks:
    """The marks of the tasks that were handled.

    Args:
        path: The file.
        name: Whose workers they are, for errors.
    """

    def __init__(self, path: Path, name: str) -> None:
        with path.open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)
        self._name = name

    def wait_first(self) -> tuple[int, float]:
        """Wait for the first task to be handled; returns how many are by then, and the time."""
        self._wait(lambda: self._bytes.find(b"\1") >= 0)
        return self.handled(), time.perf_counter()

    def wait_all(self) -> float:
        """Wait for all tasks to be handled; returns the time."""
        at = 0

        def is_over() -> bool:
            nonlocal at
            at = self._bytes.find(b"\0", at)
            return at < 0

        self._wait(is_over)
        return time.perf_counter()

    def handled(self) -> int:
        """Count the tasks that were handled."""
        return len(self._bytes) - self._bytes[:].count(0)

    def _wait(self, condition: Any) -> None:
        ends = time.monotonic() + MOST_SECONDS
        while not condition():
            if time.monotonic() > ends:
                raise SystemFailedError(
                    f"the workers of {self._name} have handled {self.handled()} of {len(self._bytes)} tasks "
                    f"in {MOST_SECONDS:.0f} s"
                )
            time.sleep(LOOK_SECONDS)


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
