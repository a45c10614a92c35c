"""Many processes call for values that are not cached yet; a process that computes is killed."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from converge_redis import RedisStore, SharedCache
from tests.support.backends import TIMEOUT, Backend, until
from tests.support.processes import ProcessGroup, process_group

KEYS = 50
PROCESSES = 16
LOCK_TTL = 2.0


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessGroup]:
    with process_group(PROCESSES) as processes:
        yield processes


def read_all_keys(_number: int, url: str) -> list[Any]:
    """Call for all keys; all processes do so in the same order at the same time."""
    with RedisStore.from_url(url, "test") as store, redis.Redis.from_url(url) as client:

        def compute(key: str) -> str:
            client.incr(f"computed {key}")
            time.sleep(0.002)
            return f"value of {key}"

        cache = SharedCache(store)
        return [cache.get_or_compute(key, lambda key=key: compute(key), 100) for key in map(str, range(KEYS))]  # type: ignore[misc]


def test_sixteen_processes_compute_each_key_once(real: Backend, processes: ProcessGroup) -> None:
    answers = processes.call(read_all_keys, str(real.url))
    assert answers == [[f"value of {key}" for key in range(KEYS)]] * PROCESSES
    counts = [int(real.client().get(f"computed {key}") or 0) for key in range(KEYS)]
    assert counts == [1] * KEYS


def compute_without_end(url: str) -> None:
    with RedisStore.from_url(url, "test") as store, redis.Redis.from_url(url) as client:

        def compute() -> None:
            client.incr("begun")
            time.sleep(1000)

        SharedCache(store).get_or_compute("key", compute, 100, lock_ttl=LOCK_TTL)


def take_over(_number: int, url: str) -> tuple[Any, float]:
    """Call for the key that another process computes; return the value, and the time at which it came."""
    with RedisStore.from_url(url, "test") as store, redis.Redis.from_url(url) as client:
        client.incr("waiting")
        value = SharedCache(store).get_or_compute(
            "key", lambda: client.incr("taken over"), 100, lock_ttl=LOCK_TTL
        )
        return value, time.time()


def test_one_process_takes_over_from_a_process_that_is_killed(real: Backend, processes: ProcessGroup) -> None:
    client: Any = real.client()
    computing = multiprocessing.get_context("spawn").Process(
        target=compute_without_end, args=(str(real.url),)
    )
    computing.start()
    until(lambda: client.get("begun"))
    assert computing.pid is not None
    taken_over_before, killed_at = list[Any](), list[float]()

    def kill(pid: int) -> None:
        try:
            until(lambda: int(client.get("waiting") or 0) == PROCESSES)
            time.sleep(LOCK_TTL)  # the lock is renewed as long as its process lives
            taken_over_before.append(client.get("taken over"))
        finally:
            os.kill(pid, signal.SIGKILL)
            killed_at.append(time.time())

    killer = threading.Thread(target=kill, args=(computing.pid,))
    killer.start()
    answers = processes.call(take_over, str(real.url))
    killer.join()
    computing.join(TIMEOUT)
    assert taken_over_before == [None]
    assert client.get("begun") == client.get("taken over") == b"1"
    assert {value for value, _ in answers} == {1}
    assert all(came_at - killed_at[0] < LOCK_TTL + TIMEOUT for _, came_at in answers)
