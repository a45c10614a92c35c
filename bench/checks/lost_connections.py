"""Check that every waiter gets the right result while connections are killed and the server restarts.

    python -m bench.checks.lost_connections [--tasks 5000] [--kill-every 0.2]

Two processes claim the tasks that two other processes submit and wait for, on asyncio. Meanwhile all
subscribed connections are killed again and again, and half-way the server is restarted on its append-only
file. A task whose claim got no reply is claimed again when its lease has expired. Exits with 1 unless every
waiter gets the right result within the interval of re-reads, every task is completed once, and the audit
finds nothing.
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

MAX_DELAY_SECONDS = REREAD_SECONDS * 1.2
CLAIMERS = 20
CONCURRENT_WAITERS = 500
DOWN_SECONDS = 1.0
LEASE_SECONDS = 5.0
"""After this time, tasks can be claimed again whose claims got no reply during the restart."""


async def _with_retries(call: Callable[[], Awaitable[T]]) -> T:
    """Make a call; retry it while the server is down."""
    while True:
        try:
            return await call()
        except StoreUnavailableError:
            await asyncio.sleep(0.1)


async def work(url: str, name: str) -> None:
    """Claim and report tasks."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)

        async def claim(agent: str) -> None:
            while True:
                for task in await _with_retries(lambda: manager.claim_next(agent, wait=600.0)):
                    report = partial(manager.report, agent, task.id, task.id, claim_token=task.claim_token)
                    await _with_retries(report)

        await asyncio.gather(*[claim(f"{name}-{number}") for number in range(CLAIMERS)])


async def wait(url: str, tasks: int, pipe: Connection) -> None:
    """Submit tasks and wait for each; send the number of correct results, and the longest delay."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        limit = asyncio.Semaphore(CONCURRENT_WAITERS)
        correct, longest = 0, 0.0

        async def submit_and_wait() -> None:
            nonlocal correct, longest
            async with limit:
                task = Task(constraints={"claim_ttl_sec": LEASE_SECONDS})
                await _with_retries(lambda: manager.submit(task))
                ended = await _with_retries(lambda: manager.wait_until_done(task.id, None))
                if ended is not None and ended.state is TaskState.COMPLETED and ended.result == task.id:
                    correct += 1
                    longest = max(longest, time.time() - (ended.finished_at or 0))

        await asyncio.gather(*[submit_and_wait() for _ in range(tasks)])
        pipe.send((correct, longest))


def run(part: Callable[..., Any], *args: Any) -> None:
    """Run a coroutine function in a process."""
    asyncio.run(part(*args))


def main() -> int:
    """Run the check; return the exit code."""
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
                    time.sleep(DOWN_SECONDS)
                    server = EmbeddedServer(
                        data_dir=Path(folder), appendfsync="always", port=_port(url)
                    ).start()
                    restarts += 1
            reports = [near.recv() for near, _ in pipes]
            with RedisStore.from_url(url) as store:
                manager = TaskManager(store)
                completed, violations = manager.counts()["completed"], len(manager.audit())
        finally:
            for process in [*workers, *waiters]:
                process.kill()
                process.join()
            server.stop()
    correct, longest = sum(count for count, _ in reports), max(delay for _, delay in reports)
    print(
        f"{kills} subscribed connections killed, {restarts} restart: {correct} of {options.tasks} waiters "
        f"got the right result, after at most {longest:.2f} s (limit: {MAX_DELAY_SECONDS:.0f} s); "
        f"{completed} tasks completed, {violations} violations"
    )
    passed = (
        correct == completed == options.tasks and longest <= MAX_DELAY_SECONDS and restarts and not violations
    )
    return 0 if passed else 1


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _port(url: str) -> int:
    return int(url.rpartition(":")[2].partition("/")[0])


if __name__ == "__main__":
    sys.exit(main())
