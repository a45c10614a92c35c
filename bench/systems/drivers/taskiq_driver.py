"""The driver of taskiq with taskiq-redis."""

from typing import Any

import redis
from driver_protocol import TEXT, AsyncClient, Marks, count_keys, installed, quiet, run, run_async
from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend

POLL_SECONDS = 0.01


def _broker(url: str) -> Any:
    return ListQueueBroker(url).with_result_backend(RedisAsyncResultBackend(url, prefix_str="result"))


class Taskiq(AsyncClient):
    """The client of taskiq, with a list broker."""

    async def open(self) -> None:
        """Connect."""
        broker = _broker(self.url)

        async def not_run_here(number: int, text: str) -> int:
            raise AssertionError("the client runs no task")

        self._task = broker.register_task(not_run_here, task_name="handle")
        await broker.startup()
        self._client = redis.Redis.from_url(self.url)

    async def one(self, number: int) -> Any:
        """Submit with `kiq`."""
        return await self._task.kiq(number, TEXT)

    async def result(self, submitted: Any) -> Any:
        """Wait by polling."""
        result = await submitted.wait_result(check_interval=POLL_SECONDS, timeout=30)
        return result.return_value

    async def count_finished(self) -> int:
        """Count the keys of results."""
        return count_keys(self._client, "result:*")

    def versions(self) -> dict[str, str]:
        """Return the versions of taskiq, taskiq-redis and redis-py."""
        return installed("taskiq", "taskiq-redis", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a receiver."""

    async def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    async def forever() -> None:
        broker = _broker(url)
        broker.is_worker_process = True
        broker.register_task(handle, task_name="handle")
        await run_receiver_task(broker, max_async_tasks=concurrency, run_startup=True)

    quiet()
    run_async(forever())


if __name__ == "__main__":
    run(Taskiq, work)
