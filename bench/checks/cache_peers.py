"""How do the store and the shared cache compare with cashews, aiocache and dogpile.cache on one server?

    pip install 'converge-redis[bench]'
    python -m bench.checks.cache_peers [--rounds 9] [--calls 2000]

Calls one after the other, blocking against dogpile.cache and on asyncio against cashews and aiocache, in
rounds that alternate; medians. Then a cold stampede: four processes with eight callers each ask for five keys
at once, and the computations are counted. Exits with 1 unless ours are at least as fast on remote hits, and a
near hit is ten times as fast as each peer's hit.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import redis

from converge_redis import (
    AsyncRedisStore,
    AsyncSharedCache,
    EmbeddedServer,
    NearCache,
    RedisStore,
    SharedCache,
)

VALUE = {"id": 7, "name": "x" * 100, "scores": list(range(20)), "more": {"a": 1.5, "b": None, "c": "y" * 40}}
PROCESSES, CALLERS, KEYS = 4, 8, 5
COMPUTE_SECONDS = 0.1
TTL = 600
NEAR_TARGET = 10.0


@dataclass
class Line:
    """One line of the table.

    Attributes:
        system: Whose call.
        question: What is asked.
        kind: Blocking, or asyncio.
        rates: Calls per second, by round.
    """

    system: str
    question: str
    kind: str
    rates: list[float]

    @property
    def rate(self) -> float:
        """The median."""
        return statistics.median(self.rates)


# Cold stampede: each returns when all callers of one process have their values.


def _threads(ask: Callable[[str], Any]) -> None:
    threads = [
        threading.Thread(target=lambda: [ask(f"cold {key}") for key in range(KEYS)]) for _ in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


async def _tasks(ask: Callable[[str], Awaitable[Any]]) -> None:
    async def caller() -> None:
        for key in range(KEYS):
            await ask(f"cold {key}")

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


def stampede_ours(port: int, count: Callable[[str], str]) -> None:
    """The shared cache."""
    with RedisStore.from_url(f"redis://127.0.0.1:{port}") as store:
        cache = SharedCache(store)
        _threads(lambda key: cache.get_or_compute(key, lambda: count(key), TTL))


def stampede_ours_async(port: int, count: Callable[[str], str]) -> None:
    """The shared cache on asyncio."""

    async def run() -> None:
        async with AsyncRedisStore.from_url(f"redis://127.0.0.1:{port}", "async") as store:
            cache = AsyncSharedCache(store)

            def ask(key: str) -> Awaitable[str]:
                return cache.get_or_compute(key, lambda: asyncio.to_thread(count, key), TTL)

            await _tasks(ask)

    asyncio.run(run())


def stampede_dogpile(port: int, count: Callable[[str], str]) -> None:
    """dogpile.cache with its distributed lock."""
    region = _dogpile(port)
    _threads(lambda key: region.get_or_create(key, lambda: count(key)))


def stampede_cashews(port: int, count: Callable[[str], str]) -> None:
    """Cashews with its lock."""

    async def run() -> None:
        cache = _cashews(port)

        @cache(ttl=TTL, key="{key}", lock=True)  # type: ignore[untyped-decorator, unused-ignore]
        async def ask(key: str) -> str:
            return await asyncio.to_thread(count, key)

        await _tasks(ask)
        await cache.close()

    asyncio.run(run())


def stampede_aiocache(port: int, count: Callable[[str], str]) -> None:
    """Aiocache with its lease."""
    import aiocache  # noqa: PLC0415

    async def run() -> None:
        settings = {"cache": aiocache.Cache.REDIS, "endpoint": "127.0.0.1", "port": port}

        @aiocache.cached_stampede(  # type: ignore[untyped-decorator, unused-ignore]
            lease=10, ttl=TTL, key_builder=lambda _function, key: key, **settings
        )
        async def ask(key: str) -> str:
            return await asyncio.to_thread(count, key)

        await _tasks(ask)

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

    def count(key: str) -> str:
        client.incr(f"computed {system}")
        time.sleep(COMPUTE_SECONDS)
        return key

    barrier.wait(60)
    STAMPEDES[system](port, count)


def stampede(system: str, port: int) -> tuple[int, float]:
    """Return how often something was computed, and the seconds until all had all."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES + 1)
    processes = [
        context.Process(target=_stampede_in_process, args=(system, port, barrier)) for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    barrier.wait(60)
    begun = time.perf_counter()
    for process in processes:
        process.join()
    took = time.perf_counter() - begun
    with redis.Redis(port=port) as client:
        counted: Any = client.get(f"computed {system}") or 0
        client.flushall()
    return int(counted), took


# Calls one after the other


def _dogpile(port: int) -> Any:
    from dogpile.cache import make_region  # noqa: PLC0415

    arguments = {
        "host": "127.0.0.1",
        "port": port,
        "redis_expiration_time": TTL,
        "distributed_lock": True,
        "thread_local_lock": False,
    }
    return make_region().configure("dogpile.cache.redis", expiration_time=TTL, arguments=arguments)


def _cashews(port: int, **settings: Any) -> Any:
    from cashews import Cache  # noqa: PLC0415

    cache = Cache()
    cache.setup(f"redis://127.0.0.1:{port}", **settings)
    return cache


def blocking_calls(port: int, stack: list[Any]) -> dict[tuple[str, str], Callable[[], Any]]:
    """The calls of blocking systems, by system and question."""
    url = f"redis://127.0.0.1:{port}"
    store = RedisStore.from_url(url).open()
    near = RedisStore.from_url(url, near_cache=NearCache()).open()
    stack += [store, near]
    cache, near_cache, region = SharedCache(store), SharedCache(near), _dogpile(port)
    store.put("key", VALUE)
    cache.put("key", VALUE, TTL)
    region.set("key", VALUE)
    while near.near_statistics().hits == 0:
        near.get("key")
    while near_cache.statistics().near_hits == 0:
        near_cache.get_or_compute("key", dict, TTL)

    def asked(found: Any) -> None:
        assert found == VALUE

    asked(store.get("key"))
    asked(cache.get_or_compute("key", dict, TTL))
    asked(region.get("key"))
    return {
        ("store", "get hit"): lambda: store.get("key"),
        ("cache", "get hit"): lambda: cache.get("key"),
        ("dogpile.cache", "get hit"): lambda: region.get("key"),
        ("cache", "compute hit"): lambda: cache.get_or_compute("key", dict, TTL),
        ("dogpile.cache", "compute hit"): lambda: region.get_or_create("key", dict),
        ("store", "near hit"): lambda: near.get("key"),
        ("cache", "near hit"): lambda: near_cache.get_or_compute("key", dict, TTL),
        ("store", "set"): lambda: store.put("written", VALUE, ttl=TTL),
        ("cache", "set"): lambda: cache.put("written", VALUE, TTL),
        ("dogpile.cache", "set"): lambda: region.set("written", VALUE),
    }


async def async_calls(port: int, stack: list[Any]) -> dict[tuple[str, str], Callable[[], Awaitable[Any]]]:
    """The same on asyncio."""
    import aiocache  # noqa: PLC0415
    from aiocache.serializers import PickleSerializer  # noqa: PLC0415

    url = f"redis://127.0.0.1:{port}"
    store, near = AsyncRedisStore.from_url(url), AsyncRedisStore.from_url(url, near_cache=NearCache())
    cache, near_cache = AsyncSharedCache(store), AsyncSharedCache(near)
    peer, near_peer = _cashews(port), _cashews(port, client_side=True)
    other = aiocache.Cache(
        aiocache.Cache.REDIS, endpoint="127.0.0.1", port=port, serializer=PickleSerializer()
    )
    stack += [store.aclose, near.aclose, peer.close, near_peer.close, other.close]
    await store.put("key", VALUE)
    await cache.put("key", VALUE, TTL)
    await peer.set("peer", VALUE, expire=TTL)
    await near_peer.set("near peer", VALUE, expire=TTL)
    await other.set("other", VALUE, ttl=TTL)
    while near.near_statistics().hits == 0:
        await near.get("key")
    while near_cache.statistics().near_hits == 0:
        await near_cache.get_or_compute("key", dict, TTL)

    @peer(ttl=TTL, key="computed", lock=True)  # type: ignore[untyped-decorator, unused-ignore]
    async def cached_by_cashews() -> Any:
        return VALUE

    @aiocache.cached_stampede(  # type: ignore[untyped-decorator, unused-ignore]
        lease=10,
        ttl=TTL,
        key="other",
        cache=aiocache.Cache.REDIS,
        endpoint="127.0.0.1",
        port=port,
        serializer=PickleSerializer(),
    )
    async def cached_by_aiocache() -> Any:
        return VALUE

    assert await cached_by_cashews() == await cached_by_aiocache() == VALUE
    for found in (await peer.get("peer"), await near_peer.get("near peer"), await other.get("other")):
        assert found == VALUE
    return {
        ("store", "get hit"): lambda: store.get("key"),
        ("cache", "get hit"): lambda: cache.get("key"),
        ("cashews", "get hit"): lambda: peer.get("peer"),
        ("aiocache", "get hit"): lambda: other.get("other"),
        ("cache", "compute hit"): lambda: cache.get_or_compute("key", dict, TTL),
        ("cashews", "compute hit"): cached_by_cashews,
        ("aiocache", "compute hit"): cached_by_aiocache,
        ("store", "near hit"): lambda: near.get("key"),
        ("cache", "near hit"): lambda: near_cache.get_or_compute("key", dict, TTL),
        ("cashews, client side", "near hit"): lambda: near_peer.get("near peer"),
        ("store", "set"): lambda: store.put("written", VALUE, ttl=TTL),
        ("cache", "set"): lambda: cache.put("written", VALUE, TTL),
        ("cashews", "set"): lambda: peer.set("written", VALUE, expire=TTL),
        ("aiocache", "set"): lambda: other.set("written", VALUE, ttl=TTL),
    }


def measure_blocking(port: int, rounds: int, calls: int) -> list[Line]:
    """Rounds of all blocking systems."""
    stack: list[Any] = []
    lines = {name: (Line(*name, "blocking", []), call) for name, call in blocking_calls(port, stack).items()}
    for _ in range(rounds):
        for line, call in lines.values():
            begun = time.perf_counter()
            for _ in range(calls):
                call()
            line.rates.append(calls / (time.perf_counter() - begun))
    for store in stack:
        store.close()
    return [line for line, _ in lines.values()]


async def measure_async(port: int, rounds: int, calls: int) -> list[Line]:
    """Rounds of all systems on asyncio."""
    stack: list[Any] = []
    made = await async_calls(port, stack)
    lines = {name: (Line(*name, "asyncio", []), call) for name, call in made.items()}
    for _ in range(rounds):
        for line, call in lines.values():
            begun = time.perf_counter()
            for _ in range(calls):
                await call()
            line.rates.append(calls / (time.perf_counter() - begun))
    for close in stack:
        await close()
    return [line for line, _ in lines.values()]


OURS = {"store", "cache"}


def verdict(lines: list[Line]) -> bool:
    """Print how ours compare; tell whether they are as fast as they have to be."""
    is_right = True
    for kind in ("blocking", "asyncio"):
        of_kind = [line for line in lines if line.kind == kind]
        for line in of_kind:
            if line.system in OURS and line.question != "set":
                is_near = line.question == "near hit"
                question, target = ("get hit", NEAR_TARGET) if is_near else (line.question, 1.0)
                peers = [peer for peer in of_kind if peer.question == question and peer.system not in OURS]
                ratios = {peer.system: line.rate / peer.rate for peer in peers}
                told = ", ".join(f"{ratio:.2f} of {system}" for system, ratio in ratios.items())
                print(f"{kind}, {line.system}, {line.question}: {told} ({question}; at least {target})")
                is_right &= min(ratios.values()) >= target
    return is_right


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--calls", type=int, default=2000)
    given = parser.parse_args()
    with EmbeddedServer(port=0) as server:
        port = int(server.url.partition("127.0.0.1:")[2].split("/")[0])
        lines = measure_blocking(port, given.rounds, given.calls)
        lines += asyncio.run(measure_async(port, given.rounds, given.calls))
        print(f"{'':22}{'':13}{'':10}{'calls/s':>12}  spread")
        for line in sorted(lines, key=lambda line: (line.kind, line.question, -line.rate)):
            spread = f"{min(line.rates):,.0f} to {max(line.rates):,.0f}"
            print(f"{line.system:22}{line.question:13}{line.kind:10}{line.rate:12,.0f}  {spread}")
        is_right = verdict(lines)
        for system in STAMPEDES:
            counted, took = stampede(system, port)
            print(
                f"cold stampede, {system}: {counted} computations of {KEYS} keys "
                f"for {PROCESSES * CALLERS} callers, {took:.2f} s"
            )
            is_right &= not system.startswith("ours") or counted == KEYS
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
