"""celery."""

from typing import Any

import redis
from celery import Celery, group
from dialogue import TEXT, Client, Marks, check, count_keys, installed, quiet, run, sequence, timed


def _app(url: str, handle: Any) -> tuple[Any, Any]:
    app = Celery("bench", broker=url, backend=url)
    app.conf.update(task_ignore_result=False, worker_prefetch_multiplier=16, result_expires=3600)
    return app, app.task(handle, name="handle")


def _never(number: int, text: str) -> int:
    raise AssertionError("the client runs no task")


class CeleryClient(Client):
    """An app with a backend in Redis."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._app, self._task = _app(url, _never)
        self._client = redis.Redis.from_url(url)

    def submit(self, first: int, count: int) -> float:
        """One `delay` each."""

        def submit() -> None:
            for number in range(first, first + count):
                self._task.delay(number, TEXT)

        return timed(submit)

    def submit_bulk(self, first: int, count: int) -> float:
        """A group of 1000 at a time."""

        def submit() -> None:
            for start in range(first, first + count, 1000):
                part = range(start, min(start + 1000, first + count))
                group(self._task.s(number, TEXT) for number in part).apply_async()

        return timed(submit)

    def finished(self) -> int:
        """The keys of results."""
        return count_keys(self._client, "celery-task-meta-*")

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """By its messages."""

        def one(number: int) -> None:
            check(number, self._task.delay(number, TEXT).get(timeout=30))

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """celery's, and redis-py's."""
        return installed("celery", "kombu", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """One worker with a pool of threads."""

    def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    quiet()
    app, _ = _app(url, handle)
    without = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    app.worker_main(
        ["worker", "--pool=threads", f"--concurrency={concurrency}", "--loglevel=ERROR", *without]
    )


if __name__ == "__main__":
    run(CeleryClient, work)
