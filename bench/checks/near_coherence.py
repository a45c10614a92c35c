"""Check that near caches never return an older value than before, and that each returns the last one.

    python -m bench.checks.near_coherence [--writes 20000] [--kills 20]

One writer increments a counter. Eight readers with near caches, in four processes with one blocking and one
asyncio reader each, read it all the time, while their subscribed connections are killed now and then. Exits
with 1 if a reader's values go backwards, or if it does not read the last value.
"""

import argparse
import asyncio
import multiprocessing
import sys
import threading
import time
import uuid
from dataclasses import dataclass
from typing import Any

import redis

from converge_redis import AsyncRedisStore, EmbeddedServer, NearCache, NearStatistics, RedisStore

TIMEOUT_SECONDS = 60.0
READERS = 4


@dataclass
class Report:
    """The report of a reader.

    Attributes:
        last: The last value that it read.
        backwards: How many times a value was older than the one before.
        near: The statistics of its near cache.
    """

    last: int
    backwards: int
    near: NearStatistics


def read_blocking(url: str, last: int) -> Report:
    """Read until the value is `last`."""
    with RedisStore.from_url(url, near_cache=NearCache()) as store:
        store.put(f"reader {uuid.uuid4()}", 1)
        current = backwards = 0
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while current != last and time.monotonic() < deadline:
            value = store.get("counter") or 0
            backwards += value < current
            current = value
        return Report(current, backwards, store.near_statistics())


async def read(url: str, last: int) -> Report:
    """As `read_blocking`, on asyncio."""
    async with AsyncRedisStore.from_url(url, near_cache=NearCache()) as store:
        await store.put(f"reader {uuid.uuid4()}", 1)
        current = backwards = number = 0
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while current != last and time.monotonic() < deadline:
            value = await store.get("counter") or 0
            backwards += value < current
            current = value
            number += 1
            if number % 50 == 0:
                await asyncio.sleep(0)  # near hits never yield to the event loop
        return Report(current, backwards, store.near_statistics())


def read_twice(number: int, url: str, last: int) -> list[Report]:
    """Run the two readers of a process."""
    del number
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(read_blocking(url, last)))
    thread.start()
    reports.append(asyncio.run(read(url, last)))
    thread.join()
    return reports


def write(url: str, writes: int, kills: int) -> int:
    """Increment the counter once all readers read, and kill subscribed connections; return how many."""
    killed = 0
    with RedisStore.from_url(url) as store, redis.Redis.from_url(url) as client:
        while store.count("reader ") < 2 * READERS:
            time.sleep(0.01)
        for number in range(1, writes + 1):
            store.put("counter", number)
            if number % max(1, writes // (kills + 1)) == 0:
                count: Any = client.client_kill_filter(_type="pubsub")
                killed += int(count)
    return killed


def _serve(url: str, last: int, queue: Any) -> None:
    queue.put(read_twice(0, url, last))


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server:
        queue = context.Queue()
        processes = [
            context.Process(target=_serve, args=(server.url, options.writes, queue)) for _ in range(READERS)
        ]
        for process in processes:
            process.start()
        started = time.monotonic()
        killed = write(server.url, options.writes, options.kills)
        took = time.monotonic() - started
        reports = [report for _ in processes for report in queue.get(timeout=TIMEOUT_SECONDS * 2)]
        for process in processes:
            process.join()
    backwards = sum(report.backwards for report in reports)
    correct = sum(report.last == options.writes for report in reports)
    print(f"{options.writes} writes in {took:.1f} s, {killed} connections killed")
    for report in reports:
        print(f"  last {report.last}, backwards {report.backwards}, {report.near}")
    print(f"{correct} of {len(reports)} readers read the last value; values went backwards {backwards} times")
    return 0 if backwards == 0 and correct == len(reports) else 1


if __name__ == "__main__":
    sys.exit(main())
