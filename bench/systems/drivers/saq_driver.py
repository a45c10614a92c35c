"""SAQ."""

import contextlib
from typing import Any

from dialogue import TEXT, AsyncClient, Marks, in_parts, installed, quiet, run, run_async
from saq import Queue, Worker

NAME = "bench"


class Saq(AsyncClient):
    """A queue in Redis."""

    async def open(self) -> None:
        """Connect."""
        self._queue: Any = Queue.from_url(self.url, name=NAME)
        await self._queue.connect()

    async def one(self, number: int) -> Any:
        """One `enqueue`."""
        return await self._queue.enqueue("handle", number=number, text=TEXT)

    async def many(self, numbers: range) -> None:
        """It has no call for many: 100 calls at a time."""
        await in_parts(self.one, numbers)

    async def result(self, submitted: Any) -> Any:
        """By its message; `refresh` can miss one, so that it looks again after half a second."""
        while not submitted.completed:
            with contextlib.suppress(TimeoutError):
                await submitted.refresh(0.5)
        return submitted.result

    async def count_finished(self) -> int:
        """All jobs, less those that it counts as incomplete."""
        jobs = 0
        async for _ in self._queue.redis.scan_iter(f"saq:job:{NAME}:*", count=10000):
            jobs += 1
        return jobs - int(await self._queue.count("incomplete"))

    def versions(self) -> dict[str, str]:
        """SAQ's, and redis-py's."""
        return installed("saq", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """One worker."""

    async def handle(_context: Any, *, number: int, text: str) -> int:
        marks.mark(number)
        return number

    async def forever() -> None:
        queue = Queue.from_url(url, name=NAME)
        await queue.connect()
        await Worker(queue, [("handle", handle)], concurrency=concurrency).start()

    quiet()
    run_async(forever())


if __name__ == "__main__":
    run(Saq, work)
