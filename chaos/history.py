"""Histories: the calls of each process with their times and results, one file per process.

Each call writes one line before it is sent, ``["call", number, time, method, {…}]``, and one when it has
returned: ``["done", number, time, result]`` or ``["error", number, time, name, message]``. Each line is one
write(2), so a killed process loses at most what it had not done yet. Times are ``time.monotonic_ns``, a clock
that all processes of a machine share.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NEVER = 2**63
"""The end of a call that has not returned."""


@dataclass(slots=True)
class Call:
    """One recorded call.

    Attributes:
        process: The name of the calling process.
        number: The number of the call in its process.
        method: The manager's method.
        arguments: Its recorded arguments.
        started: The time before it was sent.
        ended: The time when it returned; `NEVER` when the process was killed before.
        result: Its recorded result.
        error: The class name of the error that it raised.
        message: The error's message.
    """

    process: str
    number: int
    method: str
    arguments: dict[str, Any]
    started: int
    ended: int = NEVER
    result: Any = None
    error: str | None = None
    message: str = ""

    @property
    def label(self) -> str:
        """The name of the call in messages."""
        return f"{self.process}#{self.number}"


@dataclass(slots=True)
class CallResult:
    """The result of a call that is being recorded."""

    result: Any = field(default=None)


class Recorder:
    """Writes the history of one process; safe to share between threads.

    Args:
        folder: The folder of the histories.
        process: The name of the process.
    """

    def __init__(self, folder: Path, process: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND
        self._file = os.open(folder / f"{process}.jsonl", flags, 0o600)
        self._lock = threading.Lock()
        self._number = 0

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @contextmanager
    def call(self, method: str, **arguments: Any) -> Iterator[CallResult]:
        """Record a call. The body of the ``with`` statement makes it, and sets the result.

        A call that ends with another exception than an ``Exception``, such as a cancellation, has no end.
        """
        with self._lock:
            self._number += 1
            number = self._number
        self._write(["call", number, time.monotonic_ns(), method, arguments])
        result = CallResult()
        try:
            yield result
        except Exception as error:
            self._write(["error", number, time.monotonic_ns(), type(error).__name__, str(error)[:300]])
            raise
        self._write(["done", number, time.monotonic_ns(), result.result])

    def _write(self, line: list[Any]) -> None:
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def read_history(folder: Path) -> list[Call]:
    """Read the histories of all processes, without unfinished last lines."""
    return [call for path in sorted(folder.glob("*.jsonl")) for call in _read_file(path)]


def _read_file(path: Path) -> list[Call]:
    calls: dict[int, Call] = {}
    for line in path.read_bytes().split(b"\n")[:-1]:
        kind, number, at, *rest = json.loads(line)
        if kind == "call":
            calls[number] = Call(path.stem, number, rest[0], rest[1], at)
            continue
        call = calls[number]
        call.ended = at
        if kind == "done":
            call.result = rest[0]
        else:
            call.error, call.message = rest
    return list(calls.values())
