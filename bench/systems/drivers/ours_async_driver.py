"""The driver of converge-redis on asyncio."""

from driver_protocol import TEXT, AsyncClient, installed, run
from ours_driver import LEASE_SECONDS, work

from converge_redis import AsyncRedisStore, AsyncTaskManager, Task


def _task(number: int) -> Task:
    return Task(inputs={"number": number, "text": TEXT})


class OursAsync(AsyncClient):
    """The asyncio client of converge-redis."""

    uses_uvloop = False  # sequential calls are faster without it

    async def open(self) -> None:
        """Connect."""
        store = AsyncRedisStore.from_url(self.url, claim_ttl_sec=LEASE_SECONDS)
        self._manager = AsyncTaskManager(await store.open())

    async def one(self, number: int) -> str:
        """Submit with `submit`."""
        return await self._manager.submit(_task(number))

    async def many(self, numbers: range) -> None:
        """Submit with `submit_many`."""
        await self._manager.submit_many(map(_task, numbers))

    async def both(self, number: int) -> object:
        """Submit and wait with `submit_and_wait`."""
        task = await self._manager.submit_and_wait(_task(number), 30.0)
        return task and task.result

    async def count_finished(self) -> int:
        """Count the completed tasks."""
        return (await self._manager.counts())["completed"]

    def versions(self) -> dict[str, str]:
        """Return the versions of converge-redis and redis-py."""
        return installed("converge-redis", "redis", "hiredis")


if __name__ == "__main__":
    run(OursAsync, work)
