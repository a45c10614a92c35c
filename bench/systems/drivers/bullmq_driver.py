"""The driver of BullMQ for Python."""

import asyncio
from typing import Any

from bullmq import Queue, QueueEvents, Worker
from driver_protocol import TEXT, AsyncClient, Marks, installed, run, run_async

NAME, JOBS_PER_CALL = "bench", 1000


def _data(number: int) -> dict[str, Any]:
    return {"number": number, "text": TEXT}


class BullMq(AsyncClient):
    """The client of BullMQ, with queue events for results."""

    async def open(self) -> None:
        """Connect."""
        self._queue = Queue(NAME, {"connection": self.url})
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._events: Any = None

    async def _listen(self) -> None:
        self._events = QueueEvents(NAME, {"connection": self.url})

        def on_completed(event: Any, *_: Any) -> None:
            future = self._waiting.setdefault(str(event["jobId"]), asyncio.get_running_loop().create_future())
            if not future.done():
                future.set_result(event["returnvalue"])

        self._events.on("completed", on_completed)

    async def one(self, number: int) -> Any:
        """Submit with `add`."""
        return await self._queue.add("task", _data(number), {})

    async def many(self, numbers: range) -> None:
        """Submit with `addBulk`."""
        for start in range(0, len(numbers), JOBS_PER_CALL):
            batch = numbers[start : start + JOBS_PER_CALL]
            await self._queue.addBulk([{"name": "task", "data": _data(number)} for number in batch])

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Listen to queue events first, which only this method needs."""

        async def listening() -> None:
            if self._events is None:
                await self._listen()
                await asyncio.sleep(1.0)

        self._runner.run(listening())
        return super().latencies(first, count, pause)

    async def result(self, submitted: Any) -> Any:
        """Wait for the event."""
        future = self._waiting.setdefault(submitted.id, asyncio.get_running_loop().create_future())
        return int(await asyncio.wait_for(future, 30))

    async def count_finished(self) -> int:
        """Count the completed jobs."""
        return int(await self._queue.getCompletedCount())

    def versions(self) -> dict[str, str]:
        """Return the versions of BullMQ and redis-py."""
        return installed("bullmq", "redis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker."""

    async def handle(job: Any, _token: str) -> int:
        number: int = job.data["number"]
        marks.mark(number)
        return number

    async def forever() -> None:
        Worker(NAME, handle, {"connection": url, "concurrency": concurrency})
        await asyncio.Event().wait()

    run_async(forever())


if __name__ == "__main__":
    run(BullMq, work)
