"""Check the speed-up of concurrent calls, which share writes, in one process on asyncio.

    python -m bench.checks.concurrent_calls [--calls 10000] [--rounds 5]

In each round, tasks are claimed by id, first one after the other, then all concurrently. Exits with 1 unless
the median ratio of the rates is at least 3.
"""

import argparse
import asyncio
import statistics
import sys
import time

import redis

from converge_redis import AsyncRedisStore, AsyncTaskManager, EmbeddedServer, Task

TARGET = 3.0


async def measure(url: str, calls: int, rounds: int) -> float:
    """Print the rates of each round; return the median ratio."""
    ratios = []
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        for number in range(rounds):
            one_by_one = await manager.submit_many(Task() for _ in range(calls))
            concurrent = await manager.submit_many(Task() for _ in range(calls))
            started = time.perf_counter()
            for task_id in one_by_one:
                assert await manager.claim("agent", task_id)
            middle = time.perf_counter()
            assert all(await asyncio.gather(*[manager.claim("agent", task_id) for task_id in concurrent]))
            ended = time.perf_counter()
            ratios.append((middle - started) / (ended - middle))
            print(
                f"round {number + 1}: {calls / (middle - started):,.0f}/s one by one, "
                f"{calls / (ended - middle):,.0f}/s concurrently: {ratios[-1]:.2f}"
            )
        with redis.Redis.from_url(url) as client:
            print(f"connections of the process: {len(client.client_list()) - 1}")  # without this one
    return statistics.median(ratios)


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with EmbeddedServer() as server:
        ratio = asyncio.run(measure(server.url, options.calls, options.rounds))
    print(f"median ratio: {ratio:.2f} (target: at least {TARGET})")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
