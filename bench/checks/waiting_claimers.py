"""Idle claimers that wait in several processes, for the benchmarks of waking."""

import asyncio
import contextlib
import multiprocessing
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import redis

from converge_redis import AsyncRedisStore, AsyncTaskManager
from converge_redis.core.keys import Keys

WAIT_SECONDS = 3600.0
Filter = dict[str, list[str]]


@dataclass
class ClaimerProcess:
    """A process of claimers, and the pipe on which it reports their claims: (task id, time in ns)."""

    process: BaseProcess
    pipe: Connection


@contextlib.contextmanager
def waiting_claimers(
    url: str, claimers: int, processes: int, filters: Sequence[Filter] = ({},), already_waiting: int = 0
) -> Iterator[list[ClaimerProcess]]:
    """Start claimers that each claim one task; enter the block when all of them wait.

    Args:
        url: The server.
        claimers: The number of claimers in all processes.
        processes: The number of processes.
        filters: The filters of the claimers, in turn, as arguments of `claim_next`.
        already_waiting: The number of other claimers that wait already.
    """
    context = multiprocessing.get_context("spawn")
    started = []
    for number in range(processes):
        near, far = context.Pipe()
        own = claimers // processes + (number < claimers % processes)
        process = context.Process(target=_run, args=(url, number, own, filters, far), daemon=True)
        process.start()
        started.append(ClaimerProcess(process, near))
    try:
        with redis.Redis.from_url(url) as client:
            while count_waiting(client) < claimers + already_waiting:
                time.sleep(0.02)
        yield started
    finally:
        for claimer_process in started:
            claimer_process.process.kill()
            claimer_process.process.join()


def count_waiting(client: redis.Redis) -> int:
    """Count the claimers in all queues of the default namespace."""
    queues: Any = client.keys(Keys("converge", 1).shard(0)[0] + "waiting:*")
    return sum(int(client.zcard(queue)) for queue in queues)


def _run(url: str, number: int, claimers: int, filters: Sequence[Filter], pipe: Connection) -> None:
    asyncio.run(_claim(url, number, claimers, filters, pipe))


async def _claim(url: str, number: int, claimers: int, filters: Sequence[Filter], pipe: Connection) -> None:
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)

        async def claim_one(index: int) -> None:
            agent = f"agent-{number}-{index}"
            claim_filter: dict[str, Any] = dict(filters[index % len(filters)])
            for task in await manager.claim_next(agent, **claim_filter, wait=WAIT_SECONDS):
                pipe.send((task.id, time.monotonic_ns()))

        await asyncio.gather(*[claim_one(index) for index in range(claimers)])
        await asyncio.sleep(WAIT_SECONDS)  # until it is killed
