"""The driver of dramatiq."""

import signal
import threading
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from driver_protocol import TEXT, Client, Marks, check, count_keys, installed, quiet, run, sequence, timed


def _actor(url: str, handle: Any) -> tuple[Any, Any]:
    broker = RedisBroker(url=url)
    broker.add_middleware(Results(backend=RedisBackend(url=url)))
    dramatiq.set_broker(broker)
    return broker, dramatiq.actor(handle, actor_name="handle", store_results=True)


def _not_run_here(number: int, text: str) -> int:
    raise AssertionError("the client runs no task")


class Dramatiq(Client):
    """The client of dramatiq, with stored results."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._broker, self._actor = _actor(url, _not_run_here)

    def submit(self, first: int, count: int) -> float:
        """Submit with `send`."""

        def submit() -> None:
            for number in range(first, first + count):
                self._actor.send(number, TEXT)

        return timed(submit)

    def finished(self) -> int:
        """Count the results: all keys except those of the broker."""
        client = self._broker.client
        return int(client.dbsize()) - count_keys(client, "dramatiq:*")

    def latencies(self, first: int, count: int, pause: float) -> list[float]:
        """Wait with a blocking pop."""

        def one(number: int) -> None:
            check(number, self._actor.send(number, TEXT).get_result(block=True, timeout=30000))

        return sequence(one, first, count, pause)

    def versions(self) -> dict[str, str]:
        """Return the versions of dramatiq and redis-py."""
        return installed("dramatiq", "redis", "hiredis")


def work(url: str, marks: Marks, concurrency: int) -> None:
    """Run a worker with threads."""

    def handle(number: int, text: str) -> int:
        marks.mark(number)
        return number

    quiet()
    broker, _ = _actor(url, handle)
    worker = dramatiq.Worker(broker, worker_threads=concurrency)
    worker.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    worker.stop(timeout=1000)


if __name__ == "__main__":
    run(Dramatiq, work)
