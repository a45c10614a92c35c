"""What every Python driver has in common: the dialogue with the harness, and the marks of finished tasks.

A driver is one file that runs inside the environment of its system, and imports nothing but that system:

    python <driver>.py client <url>                              answers requests, a line of JSON each
    python <driver>.py worker <url> <marks> <concurrency>        works until SIGTERM

The worker's handler gets a task's number and its text, marks the byte of that number in the file `marks`, and
returns the number. That is all that it does: what is measured is the queue.
"""

import json
import mmap
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = "x" * 200
"""The payload of every task; with it go the task's number."""


class Client:
    """What the harness asks of a system; every method is measured, or asked after the measurement.

    Args:
        url: The server, as ``redis://127.0.0.1:<port>/0``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def submit(self, first: int, count: int) -> float:
        """Submit tasks one by one, each acknowledged by the server before the next; return the seconds."""
        raise NotImplementedError

    def submit_bulk(self, first: int, count: int) -> float | None:
        """Submit tasks in the system's own way for many; return the seconds. None: it has none."""
        return None

    def finished(self) -> int:
        """Return how many tasks have a result, or another record that they are done, on the server."""
        raise NotImplementedError

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Submit a task, and wait for its result, `count` times; return the seconds that each took.

        Between two of them pass `pause` seconds.
        """
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Return the versions of what matters: the system, and its client of Redis."""
        raise NotImplementedError


class Marks:
    """The file with one byte for each task, which the handler sets to 1.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)

    def mark(self, number: int) -> None:
        """Note that a task was handled."""
        self._bytes[number] = 1


def timed(act: Callable[[], Any]) -> float:
    """Return the seconds that something takes."""
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def sequence(one: Callable[[int], Any], first: int, count: int, pause: float) -> list[float]:
    """Return the seconds of each of several calls, with a pause between them."""
    seconds = []
    for number in range(first, first + count):
        seconds.append(timed(lambda number=number: one(number)))  # type: ignore[misc]
        if pause:
            time.sleep(pause)
    return seconds


def answer(client: Client) -> None:
    """Answer requests until the input ends: ``{"do": "submit", …}``, ``{"seconds": 0.1}``."""
    _tell({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        method = getattr(client, request.pop("do"))
        try:
            _tell({"result": method(**request)})
        except Exception as error:
            _tell({"error": f"{type(error).__name__}: {error}"})


def run(client: Callable[[str], Client], worker: Callable[[str, Marks, int], None]) -> None:
    """Do what the command line says.

    Args:
        client: Makes the client for a URL.
        worker: ``worker(url, marks, concurrency)`` works until SIGTERM.
    """
    role, url, *rest = sys.argv[1:]
    if role == "client":
        answer(client(url))
    else:
        worker(url, Marks(rest[0]), int(rest[1]))


def _tell(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
