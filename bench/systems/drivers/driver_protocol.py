"""The protocol of drivers: requests and answers in lines of JSON, and the marks of handled tasks.

A driver is one file that runs in the environment of its system, and imports only that system and this module:

    python <driver>.py client <url>                              answers requests, one line of JSON each
    python <driver>.py worker <url> <marks> <concurrency>        works until SIGTERM

A request is ``{"method": "submit", "first": 0, "count": 10}``: a method of `Client` and its arguments. The
answer is ``{"result": …}`` or ``{"error": "…"}``. The first line of output is ``{"ready": true}``.

The worker's handler gets the number and the text of a task, sets the byte of that number in the file `marks`,
and returns the number. It does nothing else, so that only the queue is measured.
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
"""A payload of about 200 bytes, with the task's number and both names."""


class Client:
    """The methods of a system that a session calls.

    Args:
        url: The server's URL: ``redis://127.0.0.1:<port>/0``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def submit(self, first: int, count: int) -> float:
        """Submit tasks one by one, each acknowledged by the server before the next; return the seconds."""
        raise NotImplementedError

    def submit_bulk(self, first: int, count: int) -> float | None:
        """Submit tasks with the bulk call of the system; return the seconds. None: there is no such call."""
        return None

    def finished(self) -> int:
        """Return how many tasks have a result, or another record of their end, on the server."""
        raise NotImplementedError

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Submit a task and wait for its result, `count` times with pauses; return the seconds of each."""
        raise NotImplementedError

    def versions(self) -> dict[str, str]:
        """Return the versions of the system and its Redis client."""
        raise NotImplementedError


class Marks:
    """The file with one byte per task, which the handler sets to 1.

    Args:
        path: The file.
    """

    def __init__(self, path: str) -> None:
        with Path(path).open("r+b") as file:
            self._bytes = mmap.mmap(file.fileno(), 0)

    def mark(self, number: int) -> None:
        """Mark a task as handled."""
        self._bytes[number] = 1


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def sequence(one: Callable[[int], Any], first: int, count: int, pause: float) -> list[float]:
    """Return the seconds of several calls with pauses between them."""
    seconds = []
    for number in range(first, first + count):
        started = time.perf_counter()
        one(number)
        seconds.append(time.perf_counter() - started)
        if pause:
            time.sleep(pause)
    return seconds


async def async_sequence(
    one: Callable[[int], Awaitable[Any]], first: int, count: int, pause: float
) -> list[float]:
    """As `sequence`, on asyncio."""
    seconds = []
    for number in range(first, first + count):
        started = time.perf_counter()
        await one(number)
        seconds.append(time.perf_counter() - started)
        if pause:
            await asyncio.sleep(pause)
    return seconds


class AsyncClient(Client):
    """A client on asyncio, with one event loop for all requests.

    Args:
        url: The server's URL.

    Attributes:
        uses_uvloop: Whether it uses uvloop if that is installed.
    """

    uses_uvloop = True

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._runner = asyncio.Runner(loop_factory=loop_factory() if self.uses_uvloop else None)
        self._runner.run(self.open())

    async def open(self) -> None:
        """Connect."""

    async def one(self, number: int) -> Any:
        """Submit a task, and return the argument for `result`."""
        raise NotImplementedError

    async def many(self, numbers: range) -> None:
        """Submit tasks with the bulk call of the system."""
        raise NotImplementedError

    async def result(self, submitted: Any) -> Any:
        """Wait for a task's result, and return it."""
        raise NotImplementedError

    async def count_finished(self) -> int:
        """Count the tasks that have a result, or another record of their end."""
        raise NotImplementedError

    def submit(self, first: int, count: int) -> float:
        """Submit with `one`, each awaited before the next."""

        async def submit() -> float:
            started = time.perf_counter()
            for number in range(first, first + count):
                await self.one(number)
            return time.perf_counter() - started

        return self._runner.run(submit())

    def submit_bulk(self, first: int, count: int) -> float | None:
        """Submit with `many`; None if it is not implemented."""
        if type(self).many is AsyncClient.many:
            return None

        async def submit() -> float:
            started = time.perf_counter()
            await self.many(range(first, first + count))
            return time.perf_counter() - started

        return self._runner.run(submit())

    def finished(self) -> int:
        """Count with `count_finished`."""
        return self._runner.run(self.count_finished())

    async def both(self, number: int) -> Any:
        """Submit a task, wait for its result, and return it."""
        return await self.result(await self.one(number))

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Submit and wait with `both`."""

        async def checked(number: int) -> None:
            check(number, await self.both(number))

        return self._runner.run(async_sequence(checked, first, count, pause))


async def in_batches(one: Callable[[int], Awaitable[Any]], numbers: range, batch_size: int = 100) -> None:
    """Submit tasks with concurrent calls, for a system without a bulk call."""
    for start in range(0, len(numbers), batch_size):
        await asyncio.gather(*(one(number) for number in numbers[start : start + batch_size]))


def check(number: int, result: Any) -> None:
    """Raise an error if a result is wrong."""
    if result != number:
        raise RuntimeError(f"task {number} came back as {result!r}")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the loop factory of uvloop, if that is installed."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run_async(work: Coroutine[Any, Any, None]) -> None:
    """Run an asyncio worker."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(work)


def count_keys(client: Any, pattern: str) -> int:
    """Count keys with SCAN, for a system without a counter."""
    return sum(1 for _ in client.scan_iter(pattern, count=10000))


def installed(*names: str) -> dict[str, str]:
    """Return the versions of packages."""
    return {name: version(name) for name in names}


def quiet() -> None:
    """Log errors only."""
    logging.basicConfig(level=logging.ERROR)


def answer(client: Client) -> None:
    """Answer requests until the input ends."""
    _send({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        try:
            _send({"result": getattr(client, request.pop("method"))(**request)})
        except Exception as error:
            _send({"error": f"{type(error).__name__}: {error}"})


def run(client: Callable[[str], Client], worker: Callable[[str, Marks, int], None]) -> None:
    """Run the client or the worker, as the command line says.

    Args:
        client: Makes a client for a URL.
        worker: ``worker(url, marks, concurrency)`` works until SIGTERM.
    """
    role, url, *rest = sys.argv[1:]
    if role == "client":
        answer(client(url))
    else:
        worker(url, Marks(rest[0]), int(rest[1]))


def _send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
