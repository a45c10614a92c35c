"""The driver of streaQ."""

from contextlib import AsyncExitStack
from typing import Any

from driver_protocol import TEXT, AsyncClient, Marks, installed, quiet, run
from streaq import Worker


class Streaq(AsyncClient):
    """The client of streaQ, which is a worker."""

    async def open(self) -> None:
        """Connect."""
        worker = Worker(redis_url=self.url, queue_name="bench")

        async def handle(number: int, text: str) -> int:
            raise AssertionError("the client runs no task")

        self._worker: Any = worker
        self._task: Any = worker.task(name="handle", ttl=3600)(handle)
        await AsyncExitStack().enter_async_context(worker)

    async def one(self, number: int) -> Any:
        """Submit with `enqueue`."""
        return await self._task.enqueue(number, TEXT)

    async def many(self, numbers: range) -> None:
        """Submit with `enqueue_many`."""
        for start in range(0, len(numbers), 1000):
            batch = numbers[start : start + 1000]
            await self._worker.enqueue_many([self._task.enqueue(number, TEXT) for number in batch])

    async def result(self, submitted: Any) -> Any:
        """Wait with `result`."""
        return (await submitted.result(30)).result

    async def count_finished(self) -> int:
        """Count the keys of results."""
        finished = 0
        async for _ in self._worker.redis.scan_iter(match="streaq:*:task:results:*", count=10000):
            finished += 1
        return finished

    def versions(self) -> dict[str, str]:
        """Return the versions of streaQ and coredis."""
        return installed("streaq", "coredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker."""
    worker = Worker(redis_url=url, queue_name="bench", concurrency=concurrency)

    @worker.task(name="handle", ttl=3600)
    async def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    quiet()
    worker.run_sync()


if __name__ == "__main__":
    run(Streaq, work)
