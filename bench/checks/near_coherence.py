"""Do near caches ever show a reader an older value than it has seen, and does each see the last one?

    python -m bench.checks.near_coherence [--writes 20000] [--kills 20]

One writer counts up; eight readers with near caches, two in each of four processes (one blocking, one on
asyncio), read all the time, while the connections that tell of changes are killed now and then. Exits with 1
when a reader's values go backwards, or the last value is not seen.
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

PATIENCE_SECONDS = 60.0
READERS = 4


@dataclass
class Report:
    """What a reader has seen.

    Attributes:
        last: The last value.
        backwards: How often a value was older than the one before.
        near: What its near cache has done.
    """

    last: int
    backwards: int
    near: NearStatistics


def read_blocking(url: str, last: int) -> Report:
    """Read until the last value is there."""
    with RedisStore.from_url(url, near_cache=NearCache()) as store:
        store.put(f"reader {uuid.uuid4()}", 1)
        seen = backwards = 0
        ends = time.monotonic() + PATIENCE_SECONDS
        while seen != last and time.monotonic() < ends:
            value = store.get("counter") or 0
            backwards += value < seen
            seen = value
        return Report(seen, backwards, store.near_statistics())


async def read(url: str, last: int) -> Report:
    """The same on asyncio."""
    async with AsyncRedisStore.from_url(url, near_cache=NearCache()) as store:
        await store.put(f"reader {uuid.uuid4()}", 1)
        seen = backwards = number = 0
        ends = time.monotonic() + PATIENCE_SECONDS
        while seen != last and time.monotonic() < ends:
            value = await store.get("counter") or 0
            backwards += value < seen
            seen = value
            number += 1
            if number % 50 == 0:
                await asyncio.sleep(0)  # near hits alone never let the event loop turn
        return Report(seen, backwards, store.near_statistics())


def read_twice(number: int, url: str, last: int) -> list[Report]:
    """One process: two readers at a time."""
    del number
    reports: list[Report] = []
    thread = threading.Thread(target=lambda: reports.append(read_blocking(url, last)))
    thread.start()
    reports.append(asyncio.run(read(url, last)))
    thread.join()
    return reports


def write(url: str, writes: int, kills: int) -> int:
    """Count up once all read, and kill the connections that tell of changes; returns how many were."""
    killed = 0
    with RedisStore.from_url(url) as store, redis.Redis.from_url(url) as client:
        while store.count("reader ") < 2 * READERS:
            time.sleep(0.01)
        for number in range(1, writes + 1):
            store.put("counter", number)
            if number % max(1, writes // (kills + 1)) == 0:
                told: Any = client.client_kill_filter(_type="pubsub")
                killed += int(told)
    return killed


def _serve(url: str, last: int, queue: Any) -> None:
    queue.put(read_twice(0, url, last))


def main() -> int:
    """Run once, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=20)
    given = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server:
        queue = context.Queue()
        processes = [
            context.Process(target=_serve, args=(server.url, given.writes, queue)) for _ in range(READERS)
        ]
        for process in processes:
            process.start()
        begun = time.monotonic()
        killed = write(server.url, given.writes, given.kills)
        took = time.monotonic() - begun
        reports = [report for _ in processes for report in queue.get(timeout=PATIENCE_SECONDS * 2)]
        for process in processes:
            process.join()
    backwards = sum(report.backwards for report in reports)
    right = sum(report.last == given.writes for report in reports)
    print(f"{given.writes} writes in {took:.1f} s, {killed} connections killed")
    for report in reports:
        print(f"  last {report.last}, backwards {report.backwards}, {report.near}")
    print(f"{right} of {len(reports)} readers saw the last value; values went backwards {backwards} times")
    return 0 if backwards == 0 and right == len(reports) else 1


if __name__ == "__main__":
    sys.exit(main())
