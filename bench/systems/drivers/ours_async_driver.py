"""converge-redis on asyncio."""

from dialogue import TEXT, AsyncClient, installed, run
from ours_driver import LEASE_SECONDS, work

from converge_redis import AsyncRedisStore, AsyncTaskManager, Task


def _task(number: int) -> Task:
    return Task(inputs={"number": number, "text": TEXT})


class OursAsync(AsyncClient):
    """Awaited calls."""

    uses_uvloop = False  # its calls one after the other are quicker without

    async def open(self) -> None:
        """Connect."""
        store = AsyncRedisStore.from_url(self.url, claim_ttl_sec=LEASE_SECONDS)
        self._manager = AsyncTaskManager(await store.open())

    async def one(self, number: int) -> str:
        """One `submit`."""
        return await self._manager.submit(_task(number))

    async def many(self, numbers: range) -> None:
        """One `submit_many`."""
        await self._manager.submit_many(map(_task, numbers))

    async def both(self, number: int) -> object:
        """By `submit_and_wait`."""
        task = await self._manager.submit_and_wait(_task(number), 30.0)
        return task and task.result

    async def count_finished(self) -> int:
        """Completed tasks."""
        return (await self._manager.counts())["completed"]

    def versions(self) -> dict[str, str]:
        """Ours, and redis-py's."""
        return installed("converge-redis", "redis", "hiredis")


if __name__ == "__main__":
    run(OursAsync, work)
