"""Crowds of idle claimers in processes of their own, for the benchmarks of waking."""

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
class Member:
    """A process with claimers, and the pipe by which it tells of their claims: (task id, time in ns)."""

    process: BaseProcess
    pipe: Connection


@contextlib.contextmanager
def crowd(
    url: str, claimers: int, processes: int, filters: Sequence[Filter] = ({},), others: int = 0
) -> Iterator[list[Member]]:
    """Start processes of claimers that each claim one task; return when all of them wait.

    Args:
        url: The server.
        claimers: How many there are in all.
        processes: Over how many processes.
        filters: What they may claim, as `claim_next` takes it; claimers take them in turn.
        others: How many wait already.
    """
    context = multiprocessing.get_context("spawn")
    members = []
    for number in range(processes):
        near, far = context.Pipe()
        own = claimers // processes + (number < claimers % processes)
        process = context.Process(target=_run, args=(url, number, own, filters, far), daemon=True)
        process.start()
        members.append(Member(process, near))
    try:
        with redis.Redis.from_url(url) as client:
            while waiting(client) < claimers + others:
                time.sleep(0.02)
        yield members
    finally:
        for member in members:
            member.process.kill()
            member.process.join()


def waiting(client: redis.Redis) -> int:
    """Count the claimers in all queues of the default namespace."""
    found: Any = client.keys(Keys("converge", 1).shard(0)[0] + "waiting:*")
    return sum(int(client.zcard(name)) for name in found)


def _run(url: str, number: int, claimers: int, filters: Sequence[Filter], pipe: Connection) -> None:
    asyncio.run(_claim(url, number, claimers, filters, pipe))


async def _claim(url: str, number: int, claimers: int, filters: Sequence[Filter], pipe: Connection) -> None:
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)

        async def claim_one(index: int) -> None:
            agent = f"agent-{number}-{index}"
            wanted: dict[str, Any] = dict(filters[index % len(filters)])
            for task in await manager.claim_next(agent, **wanted, wait=WAIT_SECONDS):
                pipe.send((task.id, time.monotonic_ns()))

        await asyncio.gather(*[claim_one(index) for index in range(claimers)])
        await asyncio.sleep(WAIT_SECONDS)  # until it is killed
