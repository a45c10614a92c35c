"""How much is a waiter in a process of very many?

    python -m bench.checks.many_waiters [--waiters 20000]

So many tasks are waited for on asyncio, each by a `wait_until_done` of its own, while another process
finishes them; then once more by one `as_completed`. Exits with 1 unless all are told the right end, on one
connection.
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
    """Claim and report so many tasks."""
    with RedisStore.from_url(url) as store:
        manager = TaskManager(store)
        while tasks > 0:
            for task in manager.claim_next("worker", count=500, wait=WAIT_SECONDS):
                manager.report("worker", task.id, task.id, claim_token=task.claim_token)
                tasks -= 1


@dataclass(frozen=True)
class Figures:
    """What so many waiters have cost.

    Attributes:
        right: How many were told the right end.
        listeners: The connections that listened.
        registering: Seconds until all waited.
        telling: Seconds from then, with the work itself, until all were told.
        in_process: Bytes of the process for each.
        in_server: Bytes of the server for each.
    """

    right: int
    listeners: int
    registering: float
    telling: float
    in_process: int
    in_server: int


async def measure(url: str, waiters: int, way: str) -> Figures:
    """Have tasks waited for, by a ``"wait_until_done"`` each or one ``"as_completed"``, and finish them."""
    client: Any = redis.Redis.from_url(url)
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        ids = await manager.submit_many(Task() for _ in range(waiters))
        used, resident = client.info("memory")["used_memory"], _resident()
        begun = time.perf_counter()
        if way == "wait_until_done":
            waits = [asyncio.create_task(manager.wait_until_done(one, WAIT_SECONDS)) for one in ids]
            waiting: asyncio.Future[list[Task | None]] = asyncio.gather(*waits)
        else:
            waiting = asyncio.ensure_future(_collect(manager, ids))
        await _registered(client, store._namespace.keys.shard_names(0)["watchers:"] + ids[-1])
        registered = time.perf_counter()
        mine, theirs = _resident() - resident, client.info("memory")["used_memory"] - used
        worker = multiprocessing.get_context("spawn").Process(target=finish, args=(url, waiters))
        worker.start()
        ended = await waiting
        told = time.perf_counter()
        listeners = len(client.client_list(_type="pubsub"))
        worker.join()
    client.close()
    right = sum(
        task is not None and task.state is TaskState.COMPLETED and task.result == task.id for task in ended
    )
    return Figures(
        right, listeners, registered - begun, told - registered, mine // waiters, theirs // waiters
    )


async def _registered(client: Any, key: str) -> None:
    while not client.exists(key):  # noqa: ASYNC110 - another server's state
        await asyncio.sleep(0.01)


async def _collect(manager: AsyncTaskManager, ids: list[str]) -> list[Task | None]:
    return [task async for task in manager.as_completed(ids, WAIT_SECONDS)]


def _resident() -> int:
    """Return the memory that this process has, in bytes (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--waiters", type=int, default=20_000)
    options = parser.parse_args()
    good = True
    with EmbeddedServer() as server:
        for way in ("wait_until_done", "as_completed"):
            found = asyncio.run(measure(server.url, options.waiters, way))
            print(
                f"{way}: {found.right} of {options.waiters} told right, {found.listeners} connections "
                f"listen; registered in {found.registering:.1f} s, told after {found.telling:.1f} s; "
                f"for each waiter {found.in_process} bytes in the process, {found.in_server} in the server"
            )
            good &= found.right == options.waiters and found.listeners == 1
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
