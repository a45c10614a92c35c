"""Does a waiter hang, or hear what is not so, while connections are killed and the server is restarted?

    python -m bench.checks.storm [--tasks 5000] [--kill-every 0.2]

Two processes of claimers work tasks off that two other processes have submitted and wait for, on asyncio.
Meanwhile every subscribed connection is killed again and again, and once, half-way, the server is stopped and
started anew on its append-only file. A claim whose reply is lost with the server comes back when its lease
has run out. Exits with 1 unless every waiter was told the right end, within the
re-read bound of its happening, every task was completed once, and the audit is clean.
"""

import argparse
import asyncio
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

import redis

from converge_redis import (
    AsyncRedisStore,
    AsyncTaskManager,
    EmbeddedServer,
    RedisStore,
    StoreUnavailableError,
    Task,
    TaskManager,
    TaskState,
)
from converge_redis.notifications.waiters import REREAD_SECONDS

T = TypeVar("T")

BOUND_SECONDS = REREAD_SECONDS * 1.2
CLAIMERS = 20
WAITERS_AT_ONCE = 500
AWAY_SECONDS = 1.0
LEASE_SECONDS = 5.0
"""Claims whose replies are lost in the restart, and whose callers give up, come back after so long."""


async def _persistently(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call, and make it again while the server is away."""
    while True:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(0.1)


async def work(url: str, name: str) -> None:
    """Claim and report what comes."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)

        async def claim(agent: str) -> None:
            while True:
                for task in await _persistently(lambda: manager.claim_next(agent, wait=600.0)):
                    report = partial(manager.report, agent, task.id, task.id, claim_token=task.claim_token)
                    await _persistently(report)

        await asyncio.gather(*[claim(f"{name}-{number}") for number in range(CLAIMERS)])


async def wait(url: str, tasks: int, pipe: Connection) -> None:
    """Submit tasks, and wait for the end of each; tell how many ends were right, and the longest delay."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        places = asyncio.Semaphore(WAITERS_AT_ONCE)
        right, longest = 0, 0.0

        async def follow() -> None:
            nonlocal right, longest
            async with places:
                task = Task(constraints={"claim_ttl_sec": LEASE_SECONDS})
                await _persistently(lambda: manager.submit(task))
                ended = await _persistently(lambda: manager.wait_until_done(task.id, None))
                if ended is not None and ended.state is TaskState.COMPLETED and ended.result == task.id:
                    right += 1
                    longest = max(longest, time.time() - (ended.finished_at or 0))

        await asyncio.gather(*[follow() for _ in range(tasks)])
        pipe.send((right, longest))


def run(part: Callable[..., Any], *args: Any) -> None:
    """Be one process."""
    asyncio.run(part(*args))


def main() -> int:
    """Raise the storm; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--kill-every", type=float, default=0.2)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(data_dir=Path(folder), appendfsync="always", port=_free_port()).start()
        url = server.url
        workers = [
            context.Process(target=run, args=(work, url, f"worker-{number}"), daemon=True)
            for number in range(2)
        ]
        pipes = [context.Pipe() for _ in range(2)]
        waiters = [
            context.Process(target=run, args=(wait, url, options.tasks // 2, far), daemon=True)
            for _, far in pipes
        ]
        try:
            for process in [*workers, *waiters]:
                process.start()
            kills, restarts = 0, 0
            while any(waiter.is_alive() for waiter in waiters):
                time.sleep(options.kill_every)
                with redis.Redis.from_url(url) as client:
                    kills += int(client.client_kill_filter(_type="pubsub"))
                    with RedisStore.from_url(url) as store:
                        done = TaskManager(store).counts()["completed"]
                if not restarts and done >= options.tasks // 2:
                    server.stop()
                    time.sleep(AWAY_SECONDS)
                    server = EmbeddedServer(
                        data_dir=Path(folder), appendfsync="always", port=_port(url)
                    ).start()
                    restarts += 1
            told = [near.recv() for near, _ in pipes]
            with RedisStore.from_url(url) as store:
                manager = TaskManager(store)
                completed, violations = manager.counts()["completed"], len(manager.audit())
        finally:
            for process in [*workers, *waiters]:
                process.kill()
                process.join()
            server.stop()
    right, longest = sum(count for count, _ in told), max(delay for _, delay in told)
    print(
        f"{kills} subscribed connections killed, {restarts} restart: {right} of {options.tasks} waiters told "
        f"the right end, at the latest {longest:.2f} s after it (bound: {BOUND_SECONDS:.0f} s); "
        f"{completed} tasks completed, {violations} violations"
    )
    good = right == completed == options.tasks and longest <= BOUND_SECONDS and restarts and not violations
    return 0 if good else 1


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


if __name__ == "__main__":
    sys.exit(main())
