"""The driver of celery."""

from typing import Any

import redis
from celery import Celery, group
from driver_protocol import TEXT, Client, Marks, check, count_keys, installed, quiet, run, sequence, timed


def _app(url: str, handle: Any) -> tuple[Any, Any]:
    app = Celery("bench", broker=url, backend=url)
    app.conf.update(task_ignore_result=False, worker_prefetch_multiplier=16, result_expires=3600)
    return app, app.task(handle, name="handle")


def _not_run_here(number: int, text: str) -> int:
    raise AssertionError("the client runs no task")


class CeleryClient(Client):
    """The client of celery, with results in Redis."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._app, self._task = _app(url, _not_run_here)
        self._client = redis.Redis.from_url(url)

    def submit(self, first: int, count: int) -> float:
        """Submit with `delay`."""

        def submit() -> None:
            for number in range(first, first + count):
                self._task.delay(number, TEXT)

        return timed(submit)

    def submit_bulk(self, first: int, count: int) -> float:
        """Submit in groups of 1000."""

        def submit() -> None:
            for start in range(first, first + count, 1000):
                batch = range(start, min(start + 1000, first + count))
                group(self._task.s(number, TEXT) for number in batch).apply_async()

        return timed(submit)

    def finished(self) -> int:
        """Count the keys of results."""
        return count_keys(self._client, "celery-task-meta-*")

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Wait with `get`."""

        def one(number: int) -> None:
            check(number, self._task.delay(number, TEXT).get(timeout=30))

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """Return the versions of celery, kombu and redis-py."""
        return installed("celery", "kombu", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker with a thread pool."""

    def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    quiet()
    app, _ = _app(url, handle)
    options = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(
        ["worker", "--pool=threads", f"--concurrency={concurrency}", "--loglevel=ERROR", *options]
    )


if __name__ == "__main__":
    run(CeleryClient, work)
