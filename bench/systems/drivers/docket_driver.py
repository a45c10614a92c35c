"""The driver of docket."""

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import redis
from docket import Docket, Worker
from driver_protocol import TEXT, AsyncClient, Marks, count_keys, in_batches, installed, quiet, run, run_async

REDELIVERY_SECONDS = 2


class DocketClient(AsyncClient):
    """The client of docket."""

    async def open(self) -> None:
        """Connect."""
        self._docket = Docket(name="bench", url=self.url)
        await AsyncExitStack().enter_async_context(self._docket)

        async def handle(number: int, text: str) -> int:
            raise AssertionError("the client runs no task")

        self._handle = handle
        self._client = redis.Redis.from_url(self.url)

    async def one(self, number: int) -> Any:
        """Submit with `add`."""
        return await self._docket.add(self._handle)(number, TEXT)

    async def many(self, numbers: range) -> None:
        """Submit 100 tasks in concurrent calls: there is no bulk call."""
        await in_batches(self.one, numbers)

    async def result(self, submitted: Any) -> Any:
        """Wait with `get_result`."""
        return await submitted.get_result(timeout=timedelta(seconds=30))

    async def count_finished(self) -> int:
        """Count the keys of results."""
        return count_keys(self._client, "*:results:*")

    def versions(self) -> dict[str, str]:
        """Return the versions of docket and redis-py."""
        return installed("pydocket", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker."""

    async def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    async def forever() -> None:
        async with Docket(name="bench", url=url) as docket:
            docket.register(handle)
            async with Worker(
                docket,
                concurrency=concurrency,
                redelivery_timeout=timedelta(seconds=REDELIVERY_SECONDS),
                minimum_check_interval=timedelta(milliseconds=10),
                scheduling_resolution=timedelta(milliseconds=10),
            ) as worker:
                await worker.run_forever()

    quiet()
    run_async(forever())


if __name__ == "__main__":
    run(DocketClient, work)
