"""Check the cost of many waiting calls in one process.

    python -m bench.checks.many_waiters [--waiters 20000]

One process on asyncio waits for many tasks, with one call of `wait_until_done` each, while another process
finishes them; then again with a single `as_completed`. Exits with 1 unless all calls return the right result,
on one connection.
"""

import argparse
import asyncio
import multiprocessing
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from converge_redis import (
    AsyncRedisStore,
    AsyncTaskManager,
    EmbeddedServer,
    RedisStore,
    TaskManager,
    TaskState,
)
from converge_redis.tasks.model import Task

WAIT_SECONDS = 120.0


def finish(url: str, tasks: int) -> None:
    """Claim and report a number of tasks."""
    with RedisStore.from_url(url) as store:
        manager = TaskManager(store)
        while tasks > 0:
            for task in manager.claim_next("worker", count=500, wait=WAIT_SECONDS):
                manager.report("worker", task.id, task.id, claim_token=task.claim_token)
                tasks -= 1


@dataclass(frozen=True)
class Cost:
    """The cost of the waiting calls.

    Attributes:
        correct: The number of correct results.
        listeners: The number of subscribed connections.
        registration: Seconds until all calls were registered.
        completion: Seconds from then until all calls returned, including the work.
        process_memory: Bytes of the process per call.
        server_memory: Bytes of the server per call.
    """

    correct: int
    listeners: int
    registration: float
    completion: float
    process_memory: int
    server_memory: int


async def measure(url: str, waiters: int, method: str) -> Cost:
    """Measure waits by ``"wait_until_done"``, one call per task, or by a single ``"as_completed"``."""
    client: Any = redis.Redis.from_url(url)
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        ids = await manager.submit_many(Task() for _ in range(waiters))
        used, resident = client.info("memory")["used_memory"], _resident()
        started = time.perf_counter()
        if method == "wait_until_done":
            waits = [asyncio.create_task(manager.wait_until_done(one, WAIT_SECONDS)) for one in ids]
            waiting: asyncio.Future[list[Task | None]] = asyncio.gather(*waits)
        else:
            waiting = asyncio.ensure_future(_collect(manager, ids))
        await _registered(client, store._namespace.keys.shard_names(0)["watchers:"] + ids[-1])
        registered = time.perf_counter()
        own_bytes, server_bytes = _resident() - resident, client.info("memory")["used_memory"] - used
        worker = multiprocessing.get_context("spawn").Process(target=finish, args=(url, waiters))
        worker.start()
        ended = await waiting
        returned = time.perf_counter()
        worker.join()  # its claim calls may listen too
        listeners = len(client.client_list(_type="pubsub"))
    client.close()
    correct = sum(
        task is not None and task.state is TaskState.COMPLETED and task.result == task.id for task in ended
    )
    return Cost(
        correct,
        listeners,
        registered - started,
        returned - registered,
        own_bytes // waiters,
        server_bytes // waiters,
    )


async def _registered(client: Any, key: str) -> None:
    while not client.exists(key):  # noqa: ASYNC110 - a state of the server
        await asyncio.sleep(0.01)


async def _collect(manager: AsyncTaskManager, ids: list[str]) -> list[Task | None]:
    return [task async for task in manager.as_completed(ids, WAIT_SECONDS)]


def _resident() -> int:
    """Return the resident memory of this process in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--waiters", type=int, default=20_000)
    options = parser.parse_args()
    passed = True
    with EmbeddedServer() as server:
        for method in ("wait_until_done", "as_completed"):
            cost = asyncio.run(measure(server.url, options.waiters, method))
            print(
                f"{method}: {cost.correct} of {options.waiters} correct, {cost.listeners} listeners; "
                f"registered in {cost.registration:.1f} s, all returned {cost.completion:.1f} s later; "
                f"per task {cost.process_memory} bytes in the process, {cost.server_memory} in the server"
            )
            passed &= cost.correct == options.waiters and cost.listeners == 1
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
