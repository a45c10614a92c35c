"""The driver of arq."""

from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from driver_protocol import TEXT, AsyncClient, Marks, installed, quiet, run, run_async

POLL_SECONDS = 0.01


class Arq(AsyncClient):
    """The client of arq."""

    async def open(self) -> None:
        """Connect."""
        self._pool = await create_pool(RedisSettings.from_dsn(self.url))

    async def one(self, number: int) -> Any:
        """Submit with `enqueue_job`."""
        return await self._pool.enqueue_job("handle", number, TEXT)

    async def result(self, submitted: Any) -> Any:
        """Wait by polling."""
        return await submitted.result(timeout=30, poll_delay=POLL_SECONDS)

    async def count_finished(self) -> int:
        """Count the keys of results."""
        finished = 0
        async for _ in self._pool.scan_iter("arq:result:*", count=10000):
            finished += 1
        return finished

    def versions(self) -> dict[str, str]:
        """Return the versions of arq and redis-py."""
        return installed("arq", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker."""

    async def handle(_context: Any, number: int, text: str) -> int:
        marks.mark(number)
        return number

    async def forever() -> None:
        worker = Worker(
            functions=[func(handle, name="handle")],
            redis_settings=RedisSettings.from_dsn(url),
            max_jobs=concurrency,
            poll_delay=POLL_SECONDS,
            handle_signals=False,
        )
        await worker.async_run()

    quiet()
    run_async(forever())


if __name__ == "__main__":
    run(Arq, work)
