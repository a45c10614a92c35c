"""docket."""

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import redis
from dialogue import TEXT, AsyncClient, Marks, count_keys, in_parts, installed, quiet, run, run_async
from docket import Docket, Worker

REDELIVERY_SECONDS = 2


class DocketClient(AsyncClient):
    """A docket."""

    async def open(self) -> None:
        """Connect."""
        self._docket = Docket(name="bench", url=self.url)
        await AsyncExitStack().enter_async_context(self._docket)

        async def handle(number: int, text: str) -> int:
            raise AssertionError("the client runs no task")

        self._handle = handle
        self._client = redis.Redis.from_url(self.url)

    async def one(self, number: int) -> Any:
        """One `add`."""
        return await self._docket.add(self._handle)(number, TEXT)

    async def many(self, numbers: range) -> None:
        """It has no call for many: 100 calls at a time."""
        await in_parts(self.one, numbers)

    async def result(self, submitted: Any) -> Any:
        """By its channel."""
        return await submitted.get_result(timeout=timedelta(seconds=30))

    async def count_finished(self) -> int:
        """The keys of results."""
        return count_keys(self._client, "*:results:*")

    def versions(self) -> dict[str, str]:
        """docket's, and redis-py's."""
        return installed("pydocket", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """One worker."""

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
