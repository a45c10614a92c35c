"""What every Python driver has in common: the dialogue with the harness, and the marks of finished tasks.

A driver is one file that runs inside the environment of its system, and imports nothing but that system:

    python <driver>.py client <url>                              answers requests, a line of JSON each
    python <driver>.py worker <url> <marks> <concurrency>        works until SIGTERM

A request is ``{"do": "submit", "first": 0, "count": 10}``, with a method of `Client` and its arguments; the
answer is ``{"result": …}`` or ``{"error": "…"}``, and ``{"ready": true}`` comes first.

The worker's handler gets a task's number and its text, marks the byte of that number in the file `marks`, and
returns the number. That is all that it does: what is measured is the queue.
"""

import asyncio
import json
import logging
import mmap
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Any

TEXT = "x" * 180
"""With the task's number and both names, a payload of about 200 bytes."""


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
        begun = time.perf_counter()
        one(number)
        seconds.append(time.perf_counter() - begun)
        if pause:
            time.sleep(pause)
    return seconds


async def async_sequence(
    one: Callable[[int], Awaitable[Any]], first: int, count: int, pause: float
) -> list[float]:
    """As `sequence`, on asyncio."""
    seconds = []
    for number in range(first, first + count):
        begun = time.perf_counter()
        await one(number)
        seconds.append(time.perf_counter() - begun)
        if pause:
            await asyncio.sleep(pause)
    return seconds


class AsyncClient(Client):
    """A client whose work is written for asyncio: it has one event loop for all requests.

    Args:
        url: The server.

    Attributes:
        uses_uvloop: Whether that is uvloop's, where it is installed.
    """

    uses_uvloop = True

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._runner = asyncio.Runner(loop_factory=loop_factory() if self.uses_uvloop else None)
        self._runner.run(self.open())

    async def open(self) -> None:
        """Connect."""

    async def one(self, number: int) -> Any:
        """Submit a task, and return what `result` needs."""
        raise NotImplementedError

    async def many(self, numbers: range) -> None:
        """Submit tasks in the system's own way for many."""
        raise NotImplementedError

    async def result(self, submitted: Any) -> Any:
        """Wait for a task's result, and return it."""
        raise NotImplementedError

    async def count_finished(self) -> int:
        """Count the tasks that have a result, or another record that they are done."""
        raise NotImplementedError

    def submit(self, first: int, count: int) -> float:
        """Each call is awaited before the next."""

        async def submit() -> float:
            begun = time.perf_counter()
            for number in range(first, first + count):
                await self.one(number)
            return time.perf_counter() - begun

        return self._runner.run(submit())

    def submit_bulk(self, first: int, count: int) -> float | None:
        """By `many`; None where there is none."""
        if type(self).many is AsyncClient.many:
            return None

        async def submit() -> float:
            begun = time.perf_counter()
            await self.many(range(first, first + count))
            return time.perf_counter() - begun

        return self._runner.run(submit())

    def finished(self) -> int:
        """By `count_finished`."""
        return self._runner.run(self.count_finished())

    async def both(self, number: int) -> Any:
        """Submit a task, wait for its result, and return it."""
        return await self.result(await self.one(number))

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """By `both`."""

        async def checked(number: int) -> None:
            check(number, await self.both(number))

        return self._runner.run(async_sequence(checked, first, count, pause))


async def in_parts(one: Callable[[int], Awaitable[Any]], numbers: range, together: int = 100) -> None:
    """Submit tasks by gathering calls, for a system that has nothing else for many."""
    for start in range(0, len(numbers), together):
        await asyncio.gather(*(one(number) for number in numbers[start : start + together]))


def check(number: int, result: Any) -> None:
    """Raise unless a result is right."""
    if result != number:
        raise RuntimeError(f"task {number} came back as {result!r}")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where it is installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Run a worker that is written for asyncio."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(work)


def count_keys(client: Any, pattern: str) -> int:
    """Count keys by SCAN, for a system that keeps no count."""
    return sum(1 for _ in client.scan_iter(pattern, count=10000))


def installed(*names: str) -> dict[str, str]:
    """Return the versions of packages."""
    return {name: version(name) for name in names}


def quiet() -> None:
    """Log errors only."""
    logging.basicConfig(level=logging.ERROR)


def answer(client: Client) -> None:
    """Answer requests until the input ends."""
    _tell({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _tell({"result": getattr(client, request.pop("do"))(**request)})
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
