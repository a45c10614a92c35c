"""The driver of SAQ."""

import contextlib
from typing import Any

from driver_protocol import TEXT, AsyncClient, Marks, in_batches, installed, quiet, run, run_async
from saq import Queue, Worker

NAME = "bench"


class Saq(AsyncClient):
    """The client of SAQ."""

    async def open(self) -> None:
        """Connect."""
        self._queue: Any = Queue.from_url(self.url, name=NAME)
        await self._queue.connect()

    async def one(self, number: int) -> Any:
        """Submit with `enqueue`."""
        return await self._queue.enqueue("handle", number=number, text=TEXT)

    async def many(self, numbers: range) -> None:
        """Submit 100 tasks in concurrent calls: there is no bulk call."""
        await in_batches(self.one, numbers)

    async def result(self, submitted: Any) -> Any:
        """Wait for the message; `refresh` can miss it, so repeat it after half a second."""
        while not submitted.completed:
            with contextlib.suppress(TimeoutError):
                await submitted.refresh(0.5)
        return submitted.result

    async def count_finished(self) -> int:
        """Count all jobs, without the incomplete ones."""
        jobs = 0
        async for _ in self._queue.redis.scan_iter(f"saq:job:{NAME}:*", count=10000):
            jobs += 1
        return jobs - int(await self._queue.count("incomplete"))

    def versions(self) -> dict[str, str]:
        """Return the versions of SAQ and redis-py."""
        return installed("saq", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker."""

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
