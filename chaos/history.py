"""Histories: what each process asked of the server and what it was told, with times, one file a process.

A call leaves one line before it is sent, and one when it has returned: ``["call", number, time, verb, {…}]``,
then ``["done", number, time, result]`` or ``["error", number, time, name, message]``. A line is one write(2):
a process that is killed loses at most what it had not done yet. Times are ``time.monotonic_ns``, which all
processes of one machine share.
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
"""The time of what has not happened."""


@dataclass(slots=True)
class Call:
    """One call of a verb.

    Attributes:
        process: Who called.
        number: Which of its calls.
        verb: The manager's method.
        arguments: What was recorded of its arguments.
        begun: When it was about to be sent.
        ended: When it had returned; `NEVER` when nobody knows, since the process was killed.
        result: What it returned, in short.
        error: The name of the error that it raised.
        message: The error's message.
    """

    process: str
    number: int
    verb: str
    arguments: dict[str, Any]
    begun: int
    ended: int = NEVER
    result: Any = None
    error: str | None = None
    message: str = ""

    @property
    def who(self) -> str:
        """The call, for people."""
        return f"{self.process}#{self.number}"


@dataclass(slots=True)
class Outcome:
    """What a call that is being recorded returns."""

    result: Any = field(default=None)


class Recorder:
    """Writes the history of one process; safe to share between threads.

    Args:
        folder: Where the histories are.
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
    def call(self, verb: str, **arguments: Any) -> Iterator[Outcome]:
        """Record one call: the ``with`` statement's body makes it, and sets the outcome's result.

        A call that ends by something else than an ``Exception``, such as a cancellation, stays unanswered.
        """
        with self._lock:
            self._number += 1
            number = self._number
        self._write(["call", number, time.monotonic_ns(), verb, arguments])
        outcome = Outcome()
        try:
            yield outcome
        except Exception as error:
            self._write(["error", number, time.monotonic_ns(), type(error).__name__, str(error)[:300]])
            raise
        self._write(["done", number, time.monotonic_ns(), outcome.result])

    def _write(self, line: list[Any]) -> None:
        os.write(self._file, json.dumps(line, separators=(",", ":")).encode() + b"\n")


def read_history(folder: Path) -> list[Call]:
    """Read the histories of all processes; a last line that was not finished was not written."""
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
