"""Check the latency from submit to waiter over three processes, compared with plain publish and subscribe.

    python -m bench.checks.wake_latency [--rounds 2000]

Process A submits a task; an idle claimer in B claims and reports it; C, which gets the task's id from A by a
pipe, waits for it. The baseline has the same hops with redis-py: A sets a key and publishes; B, subscribed,
sets one key for the claim and one for the report, and publishes; C, subscribed to one channel, reads the
result. All use asyncio; blocks of both alternate. Exits with 1 unless the median is at most twice that of the
baseline.
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
    """Run B: claim and report tasks."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        pipe.send("ready")
        while True:
            for task in await manager.claim_next("b", wait=WAIT_SECONDS):
                await manager.report("b", task.id, {"x": 1}, claim_token=task.claim_token)


async def wait(url: str, pipe: Connection) -> None:
    """Run C: wait for each task whose id A sends, and send the time when the wait returned."""
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)
        await manager.wait_any(["unknown"], 5.0)  # starts the listener before the first round
        ids = _received_ids(pipe)
        pipe.send("ready")
        while True:
            task = await manager.wait_until_done(await ids.get(), WAIT_SECONDS)
            assert task is not None
            pipe.send(time.monotonic_ns())


async def baseline_claim(url: str, pipe: Connection) -> None:
    """Run B of the baseline."""
    client, pubsub = await _subscribed(url, "work")
    pipe.send("ready")
    async for message in pubsub.listen():
        if message["type"] == "message":
            task_id = message["data"].decode()
            await client.set("claim:" + task_id, "b")
            await client.set("result:" + task_id, "x")
            await client.publish("done", task_id)


async def baseline_wait(url: str, pipe: Connection) -> None:
    """Run C of the baseline."""
    client, pubsub = await _subscribed(url, "done")
    pipe.send("ready")
    async for message in pubsub.listen():
        if message["type"] == "message":
            assert await client.get("result:" + message["data"].decode())
            pipe.recv()  # the id, which the waiter of the other case needs
            pipe.send(time.monotonic_ns())


async def _subscribed(url: str, channel: str) -> tuple[Any, Any]:
    client: Any = redis.asyncio.Redis.from_url(url)
    pubsub = client.pubsub()
    await pubsub.subscribe(channel)
    return client, pubsub


def _received_ids(pipe: Connection) -> "asyncio.Queue[str]":
    ids: asyncio.Queue[str] = asyncio.Queue()
    asyncio.get_running_loop().add_reader(pipe.fileno(), lambda: ids.put_nowait(pipe.recv()))
    return ids


def run(part: Callable[[str, Connection], Coroutine[Any, Any, None]], url: str, pipe: Connection) -> None:
    """Run a coroutine function in a process."""
    asyncio.run(part(url, pipe))


async def measure(url: str, pipes: dict[str, Connection], rounds: int) -> dict[str, list[float]]:
    """Run A: submit tasks, and collect the milliseconds until C has waited for each."""
    client: Any = redis.asyncio.Redis.from_url(url)
    times: dict[str, list[float]] = {name: [] for name in pipes}
    async with AsyncRedisStore.from_url(url) as store:
        manager = AsyncTaskManager(store)

        async def baseline_submit(task: Task) -> None:
            await client.set("task:" + task.id, "x")
            await client.publish("work", task.id)

        submits: dict[str, Callable[[Task], Awaitable[Any]]] = {
            "ours": manager.submit,
            "baseline": baseline_submit,
        }
        for number in range(rounds // BLOCK):
            for name in sorted(submits, reverse=number % 2 == 0):
                for _ in range(BLOCK):
                    task = Task()
                    started = time.monotonic_ns()
                    await submits[name](task)
                    pipes[name].send(task.id)
                    times[name].append((pipes[name].recv() - started) / 1e6)
    await client.aclose()
    return times


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2000)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server:
        processes, pipes = [], {}
        for name, parts in {"ours": (claim, wait), "baseline": (baseline_claim, baseline_wait)}.items():
            for part in parts:
                pipes[name], far = context.Pipe()  # the last one is that of the waiter
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
    p50, p99 = (
        ours / baseline for ours, baseline in zip(quantiles["ours"], quantiles["baseline"], strict=True)
    )
    print(f"ratio: p50 {p50:.2f} (target: at most {TARGET}), p99 {p99:.2f}, {options.rounds} rounds each")
    return 0 if p50 <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
