"""The driver of converge-redis with blocking calls."""

from driver_protocol import TEXT, Client, Marks, check, installed, run, sequence, timed

from converge_redis import RedisStore, Task, TaskManager, Worker

LEASE_SECONDS = 30.0


def _task(number: int) -> Task:
    return Task(inputs={"number": number, "text": TEXT})


class Ours(Client):
    """The blocking client of converge-redis."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._manager = TaskManager(RedisStore.from_url(url, claim_ttl_sec=LEASE_SECONDS).open())

    def submit(self, first: int, count: int) -> float:
        """Submit with `submit`."""

        def submit() -> None:
            for number in range(first, first + count):
                self._manager.submit(_task(number))

        return timed(submit)

    def submit_bulk(self, first: int, count: int) -> float:
        """Submit with `submit_many`."""
        return timed(lambda: self._manager.submit_many(_task(n) for n in range(first, first + count)))

    def finished(self) -> int:
        """Count the completed tasks."""
        return self._manager.counts()["completed"]

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Submit and wait with `submit_and_wait`."""

        def one(number: int) -> None:
            task = self._manager.submit_and_wait(_task(number), 30.0)
            check(number, task and task.result)

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """Return the versions of converge-redis and redis-py."""
        return installed("converge-redis", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a `Worker` with a coroutine function as handler."""

    async def handle(task: Task) -> int:
        number: int = task.inputs["number"]
        marks.mark(number)
        return number

    store = RedisStore.from_url(url, claim_ttl_sec=LEASE_SECONDS)
    Worker(store, "worker", handle, concurrency=concurrency).run()


if __name__ == "__main__":
    run(Ours, work)
