"""The driver of rq."""

import sys
from typing import Any

import redis
from driver_protocol import TEXT, Client, Marks, check, installed, quiet, run, sequence, timed
from rq import Queue, SimpleWorker
from rq.results import Result

FUNCTION = "rq_driver.handle"
_marks: list[Marks] = []


def handle(number: int, text: str) -> int:
    """Handle a task; the worker imports this file to find the function."""
    if not _marks:
        _marks.append(Marks(sys.argv[3]))
    _marks[0].mark(number)
    return number


class Rq(Client):
    """The client of rq."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._queue = Queue(connection=redis.Redis.from_url(url))

    def submit(self, first: int, count: int) -> float:
        """Submit with `enqueue`."""

        def submit() -> None:
            for number in range(first, first + count):
                self._queue.enqueue(FUNCTION, number, TEXT, result_ttl=3600)

        return timed(submit)

    def submit_bulk(self, first: int, count: int) -> float:
        """Submit with `enqueue_many`."""

        def submit() -> None:
            jobs: list[Any] = [
                Queue.prepare_data(FUNCTION, (number, TEXT), result_ttl=3600)
                for number in range(first, first + count)
            ]
            for start in range(0, count, 1000):
                self._queue.enqueue_many(jobs[start : start + 1000])

        return timed(submit)

    def finished(self) -> int:
        """Count the finished jobs in their registry."""
        return int(self._queue.finished_job_registry.get_job_count(cleanup=False))

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Wait with a blocking read of the result."""

        def one(number: int) -> None:
            job = self._queue.enqueue(FUNCTION, number, TEXT, result_ttl=3600)
            result = Result.fetch_latest(job, timeout=30)
            check(number, result and result.return_value)

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """Return the versions of rq and redis-py."""
        return installed("rq", "redis", "hiredis")


def work(url: str, _marks: Marks, _concurrency: int) -> None:
    """Run a worker that does not fork."""
    quiet()
    worker = SimpleWorker(["default"], connection=redis.Redis.from_url(url))
    worker.work(logging_level="ERROR")


if __name__ == "__main__":
    run(Rq, work)
