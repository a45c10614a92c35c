"""Many processes ask for what nobody has computed yet; the one that computes dies."""

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

import redis

from converge_redis import RedisStore, SharedCache
from tests.support.backends import TIMEOUT, Backend, until
from tests.support.processes import process_group

KEYS = 50
LOCK_TTL = 2.0


def ask_for_all(number: int, url: str) -> list[Any]:
    """Ask for cold keys, all processes in the same order at the same time."""
    del number
    with RedisStore.from_url(url, "test") as store, redis.Redis.from_url(url) as client:

        def compute(key: str) -> str:
            client.incr(f"computed {key}")
            time.sleep(0.002)
            return f"value of {key}"

        cache = SharedCache(store)
        return [cache.get_or_compute(key, lambda key=key: compute(key), 100) for key in map(str, range(KEYS))]  # type: ignore[misc]


def test_sixteen_processes_compute_each_key_once(real: Backend) -> None:
    with process_group(16) as processes:
        answers = processes.call(ask_for_all, str(real.url))
    assert answers == [[f"value of {key}" for key in range(KEYS)]] * 16
    counted = [int(real.client().get(f"computed {key}") or 0) for key in range(KEYS)]
    assert counted == [1] * KEYS


def compute_for_ever(url: str) -> None:
    with RedisStore.from_url(url, "test") as store, redis.Redis.from_url(url) as client:

        def compute() -> None:
            client.incr("begun")
            time.sleep(1000)

        SharedCache(store).get_or_compute("key", compute, 100, lock_ttl=LOCK_TTL)


def take_over(number: int, url: str) -> tuple[Any, float]:
    """Ask for what another computes; returns the value, and the time at which it came."""
    del number
    with RedisStore.from_url(url, "test") as store, redis.Redis.from_url(url) as client:
        client.incr("asking")
        value = SharedCache(store).get_or_compute(
            "key", lambda: client.incr("taken over"), 100, lock_ttl=LOCK_TTL
        )
        return value, time.time()


def test_one_other_takes_over_from_a_process_that_is_killed(real: Backend) -> None:
    client: Any = real.client()
    dying = multiprocessing.get_context("spawn").Process(target=compute_for_ever, args=(str(real.url),))
    dying.start()
    until(lambda: client.get("begun"))
    killed_at = list[float]()

    def kill() -> None:
        until(lambda: int(client.get("asking") or 0) == 8)
        time.sleep(LOCK_TTL)  # its lock lives for as long as it does
        assert client.get("taken over") is None
        assert dying.pid is not None
        os.kill(dying.pid, signal.SIGKILL)
        killed_at.append(time.time())

    with process_group(8) as processes:
        killer = threading.Thread(target=kill)
        killer.start()
        answers = processes.call(take_over, str(real.url))
        killer.join()
    dying.join(TIMEOUT)
    assert client.get("begun") == client.get("taken over") == b"1"
    assert {value for value, _ in answers} == {1}
    assert all(came - killed_at[0] < LOCK_TTL + TIMEOUT for _, came in answers)
    print(f"taken over {max(came for _, came in answers) - killed_at[0]:.2f} s after the kill")
