"""The driver of huey."""

from typing import Any

from driver_protocol import TEXT, Client, Marks, check, installed, quiet, run, sequence, timed
from huey import RedisHuey


def _huey(url: str, handle: Any) -> tuple[Any, Any]:
    huey = RedisHuey("bench", url=url, notify_result=True)
    return huey, huey.task(name="handle")(handle)


def _not_run_here(number: int, text: str) -> int:
    raise AssertionError("the client runs no task")


class Huey(Client):
    """The client of huey."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._huey, self._handle = _huey(url, _not_run_here)

    def submit(self, first: int, count: int) -> float:
        """Submit with a call of the task."""

        def submit() -> None:
            for number in range(first, first + count):
                self._handle(number, TEXT)

        return timed(submit)

    def finished(self) -> int:
        """Count the stored results."""
        return int(self._huey.storage.result_store_size())

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Wait with a blocking pop."""

        def one(number: int) -> None:
            check(number, self._handle(number, TEXT).get(blocking=True, timeout=30))

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """Return the versions of huey and redis-py."""
        return installed("huey", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a consumer with threads."""

    def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    quiet()
    huey, _ = _huey(url, handle)
    huey.create_consumer(workers=concurrency, periodic=False, check_worker_health=False).run()


if __name__ == "__main__":
    run(Huey, work)
