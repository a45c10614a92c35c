"""converge-redis, blocking calls."""

from dialogue import TEXT, Client, Marks, check, installed, run, sequence, timed

from converge_redis import RedisStore, Task, TaskManager, Worker

LEASE_SECONDS = 30.0


def _task(number: int) -> Task:
    return Task(inputs={"number": number, "text": TEXT})


class Ours(Client):
    """Blocking calls, one connection."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._manager = TaskManager(RedisStore.from_url(url, claim_ttl_sec=LEASE_SECONDS).open())

    def submit(self, first: int, count: int) -> float:
        """One `submit` each."""

        def submit() -> None:
            for number in range(first, first + count):
                self._manager.submit(_task(number))

        return timed(submit)

    def submit_bulk(self, first: int, count: int) -> float:
        """One `submit_many`."""
        return timed(lambda: self._manager.submit_many(_task(n) for n in range(first, first + count)))

    def finished(self) -> int:
        """Completed tasks."""
        return self._manager.counts()["completed"]

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """`submit_and_wait`."""

        def one(number: int) -> None:
            found = self._manager.submit_and_wait(_task(number), 30.0)
            check(number, found and found.result)

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """Ours, and redis-py's."""
        return installed("converge-redis", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """One `Worker` with a coroutine function as its handler."""

    async def handle(task: Task) -> int:
        number: int = task.inputs["number"]
        marks.mark(number)
        return number

    store = RedisStore.from_url(url, claim_ttl_sec=LEASE_SECONDS)
    Worker(store, "worker", handle, concurrency=concurrency).run()


if __name__ == "__main__":
    run(Ours, work)
