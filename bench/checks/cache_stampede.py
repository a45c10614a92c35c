"""Cold stampedes: all callers of several processes request the same uncached keys at the same time."""

import asyncio
import multiprocessing
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis

from bench.checks.cache_systems import TTL, cashews, dogpile
from converge_redis import AsyncRedisStore, AsyncSharedCache, RedisStore, SharedCache

PROCESSES, CALLERS, KEYS = 4, 8, 5
COMPUTE_SECONDS = 0.1


def _run_threads(request: Callable[[str], Any]) -> None:
    threads = [
        threading.Thread(target=lambda: [request(f"cold {key}") for key in range(KEYS)])
        for _ in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _run_tasks(request: Callable[[str], Awaitable[Any]]) -> None:
    async def caller() -> None:
        for key in range(KEYS):
            await request(f"cold {key}")

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def stampede_ours(port: int, compute: Callable[[str], str]) -> None:
    """Run the callers of a process with the shared cache."""
    with RedisStore.from_url(f"redis://127.0.0.1:{port}") as store:
        cache = SharedCache(store)
        _run_threads(lambda key: cache.get_or_compute(key, lambda: compute(key), TTL))


def stampede_ours_async(port: int, compute: Callable[[str], str]) -> None:
    """Run the callers of a process with the shared cache on asyncio."""

    async def run() -> None:
        async with AsyncRedisStore.from_url(f"redis://127.0.0.1:{port}", "async") as store:
            cache = AsyncSharedCache(store)

            def request(key: str) -> Awaitable[str]:
                return cache.get_or_compute(key, lambda: asyncio.to_thread(compute, key), TTL)

            await _run_tasks(request)

    asyncio.run(run())


def stampede_dogpile(port: int, compute: Callable[[str], str]) -> None:
    """Run the callers of a process with dogpile.cache and its distributed lock."""
    region = dogpile(port)
    _run_threads(lambda key: region.get_or_create(key, lambda: compute(key)))


def stampede_cashews(port: int, compute: Callable[[str], str]) -> None:
    """Run the callers of a process with cashews and its lock."""

    async def run() -> None:
        cache = cashews(port)

        @cache(ttl=TTL, key="{key}", lock=True)  # type: ignore[untyped-decorator, unused-ignore]
        async def request(key: str) -> str:
            return await asyncio.to_thread(compute, key)

        await _run_tasks(request)
        await cache.close()

    asyncio.run(run())


def stampede_aiocache(port: int, compute: Callable[[str], str]) -> None:
    """Run the callers of a process with aiocache and its lease."""
    import aiocache  # noqa: PLC0415

    async def run() -> None:
        settings = {"cache": aiocache.Cache.REDIS, "endpoint": "127.0.0.1", "port": port}

        @aiocache.cached_stampede(  # type: ignore[untyped-decorator, unused-ignore]
            lease=10, ttl=TTL, key_builder=lambda _function, key: key, **settings
        )
        async def request(key: str) -> str:
            return await asyncio.to_thread(compute, key)

        await _run_tasks(request)

    asyncio.run(run())


STAMPEDES = {
    "ours, blocking": stampede_ours,
    "ours, asyncio": stampede_ours_async,
    "dogpile.cache": stampede_dogpile,
    "cashews": stampede_cashews,
    "aiocache": stampede_aiocache,
}


def _stampede_in_process(system: str, port: int, barrier: Any) -> None:
    client = redis.Redis(port=port)

    def compute(key: str) -> str:
        client.incr(f"computed {system}")
        time.sleep(COMPUTE_SECONDS)
        return key

    barrier.wait(60)
    STAMPEDES[system](port, compute)


def stampede(system: str, port: int) -> tuple[int, float]:
    """Run a stampede; return the number of computations, and the seconds until all callers had all values."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES + 1)
    processes = [
        context.Process(target=_stampede_in_process, args=(system, port, barrier)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    barrier.wait(60)
    started = time.perf_counter()
    for process in processes:
        process.join()
    took = time.perf_counter() - started
    with redis.Redis(port=port) as client:
        computations: Any = client.get(f"computed {system}") or 0
        client.flushall()
    return int(computations), took
