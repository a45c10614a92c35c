"""How long from submit to the waiter, over three processes, compared with bare publish and subscribe?

    python -m bench.checks.wake_latency [--rounds 2000]

Process A submits a task; an idle claimer in B claims and reports it; a waiter in C, which A tells the id by
a pipe, sees the end. The floor is the same hops with redis-py alone: A sets a key and publishes; B,
subscribed, sets one key for the claim and one for the report, and publishes; C, subscribed to one channel
for all, reads the result. All are on asyncio; blocks of both alternate. Exits with 1 unless the median is
at most twice the floor's.
"""

import argparse
import asyncio
import multiprocessing
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

import redis.asyncio

from converge_redis import AsyncRedisStore, AsyncTaskManager, EmbeddedServer, Task

TARGET = 2.0
BLOCK = 100
WAIT_SECONDS = 600.0


async def claim(url: str, pipe: Connection) -> None:
    """B: claim and report what comes."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        pipe.send("ready")
        while True:
            for task in await manager.claim_next("b", wait=WAIT_SECONDS):
                await manager.report("b", task.id, {"x": 1}, claim_token=task.claim_token)


async def wait(url: str, pipe: Connection) -> None:
    """C: wait for each task whose id is told, and tell when its end was seen."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        await manager.wait_any(["unknown"], 5.0)  # the listener is there before the first round
        ids = _told(pipe)
        pipe.send("ready")
        while True:
            task = await manager.wait_until_done(await ids.get(), WAIT_SECONDS)
            assert task is not None
            pipe.send(time.monotonic_ns())


async def claim_barely(url: str, pipe: Connection) -> None:
    """B of the floor."""
    client, pubsub = await _subscribed(url, "work")
    pipe.send("ready")
    async for message in pubsub.listen():
        if message["type"] == "message":
            task_id = message["data"].decode()
            await client.set("claim:" + task_id, "b")
            await client.set("result:" + task_id, "x")
            await client.publish("done", task_id)


async def wait_barely(url: str, pipe: Connection) -> None:
    """C of the floor."""
    client, pubsub = await _subscribed(url, "done")
    pipe.send("ready")
    async for message in pubsub.listen():
        if message["type"] == "message":
            assert await client.get("result:" + message["data"].decode())
            pipe.recv()  # the id, as the waiter gets it
            pipe.send(time.monotonic_ns())


async def _subscribed(url: str, channel: str) -> tuple[Any, Any]:
    client: Any = redis.asyncio.Redis.from_url(url)
    pubsub = client.pubsub()
    await pubsub.subscribe(channel)
    return client, pubsub


def _told(pipe: Connection) -> "asyncio.Queue[str]":
    ids: asyncio.Queue[str] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(pipe.fileno(), lambda: ids.put_nowait(pipe.recv()))
    return ids


def run(part: Callable[[str, Connection], Coroutine[Any, Any, None]], url: str, pipe: Connection) -> None:
    """Be one process."""
    asyncio.run(part(url, pipe))


async def measure(url: str, pipes: dict[str, Connection], rounds: int) -> dict[str, list[float]]:
    """A: submit, and collect the milliseconds until C has seen the end."""
    client: Any = redis.asyncio.Redis.from_url(url)
    times: dict[str, list[float]] = {name: [] for name in pipes}
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)

        async def submit_barely(task: Task) -> None:
            await client.set("task:" + task.id, "x")
            await client.publish("work", task.id)

        submits: dict[str, Callable[[Task], Awaitable[Any]]] = {
            "ours": manager.submit,
            "floor": submit_barely,
        }
        for number in range(rounds // BLOCK):
            for name in sorted(submits, reverse=number % 2 == 0):
                for _ in range(BLOCK):
                    task = Task()
                    begun = time.monotonic_ns()
                    await submits[name](task)
                    pipes[name].send(task.id)
                    times[name].append((pipes[name].recv() - begun) / 1e6)
    await client.aclose()
    return times


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server:
        processes, pipes = [], {}
        for name, parts in {"ours": (claim, wait), "floor": (claim_barely, wait_barely)}.items():
            for part in parts:
                pipes[name], far = context.Pipe()  # that of the waiter remains
                processes.append(context.Process(target=run, args=(part, server.url, far), daemon=True))
                processes[-1].start()
                pipes[name].recv()
        try:
            times = asyncio.run(measure(server.url, pipes, options.rounds))
        finally:
            for process in processes:
                process.kill()
    quantiles = {}
    for name, measured in times.items():
        measured.sort()
        quantiles[name] = measured[len(measured) // 2], measured[len(measured) * 99 // 100]
        print(f"{name}: p50 {quantiles[name][0]:.3f} ms, p99 {quantiles[name][1]:.3f} ms")
    p50, p99 = (ours / floor for ours, floor in zip(quantiles["ours"], quantiles["floor"], strict=True))
    print(f"ratio: p50 {p50:.2f} (target: at most {TARGET}), p99 {p99:.2f}, {options.rounds} rounds each")
    return 0 if p50 <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
