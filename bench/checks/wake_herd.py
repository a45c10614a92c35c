"""How many idle claimers does a task wake?

    python -m bench.checks.wake_herd [--claimers 1000] [--processes 4]

Half of the claimers take anything, half have filters. One task is submitted, then 100 at once in one call,
then 100 at once in single calls. Claim scripts are counted by MONITOR. Exits with 1 unless the single task
costs at most 3 claim scripts, and the hundreds at most 2 a task, and all are claimed.
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import redis

from bench.checks.crowd import Filter, Member, crowd
from converge_redis import AsyncRedisStore, AsyncTaskManager, EmbeddedServer, RedisStore, Task, TaskManager
from converge_redis.core.scripts import Script

PATIENCE_SECONDS = 20.0
QUIET_SECONDS = 0.5
FILTERS: list[Filter] = [{}, {"topics": ["news"], "pool_ids": ["readers"], "capabilities": ["read", "write"]}]


def news(tasks: int) -> list[Task]:
    """Tasks that all of them may have."""
    return [Task(topic="news", pool_id="readers") for _ in range(tasks)]


def submit_each(url: str, tasks: list[Task]) -> None:
    """Submit tasks at once, each by a call of its own."""

    async def submit() -> None:
        async with AsyncRedisStore.from_url(url) as store:
            manager = AsyncTaskManager(store)
            await asyncio.gather(*[manager.submit(task) for task in tasks])

    asyncio.run(submit())


class ClaimScripts:
    """Counts the claim scripts that run."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self._client = redis.Redis.from_url(url, socket_timeout=None)
        self._monitor: Any = self._client.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        by_sha = (
            f'"EVALSHA" "{Script("tasks/claim_next").sha}"'.encode()
        )  # those who wait have sent it in full
        while True:
            try:
                line = self._monitor.connection.read_response()
            except (redis.RedisError, OSError, ValueError):
                return  # the server has ended
            self.count += by_sha in line


def claimed(members: list[Member], tasks: int) -> int:
    """Wait until so many tasks are claimed, and a little more; return how many are."""
    count = 0
    for member in members * 2:  # the second time for those that came late
        while count < tasks and member.pipe.poll(PATIENCE_SECONDS / 10 if count < tasks else 0):
            member.pipe.recv()
            count += 1
    threading.Event().wait(QUIET_SECONDS)
    return count


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claimers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()
    good = True
    with (
        EmbeddedServer() as server,
        RedisStore.from_url(server.url) as store,
        crowd(server.url, options.claimers, options.processes, FILTERS) as members,
    ):
        manager = TaskManager(store)
        scripts = ClaimScripts(server.url)

        def measure(what: str, tasks: int, most: float, submit: Callable[[list[Task]], Any]) -> bool:
            before = scripts.count
            submit(news(tasks))
            done = claimed(members, tasks)
            ran = (scripts.count - before) / tasks
            print(
                f"{what}: {done} of {tasks} claimed, {ran:.2f} claim scripts a task (target: at most {most})"
            )
            return done == tasks and ran <= most

        good &= measure("one task", 1, 3, lambda tasks: manager.submit(tasks[0]))
        good &= measure("100 in one call", 100, 2, manager.submit_many)
        good &= measure("100 in single calls", 100, 2, lambda tasks: submit_each(server.url, tasks))
        violations = manager.audit()
        print(f"audit: {len(violations)} violations")
    return 0 if good and not violations else 1


if __name__ == "__main__":
    sys.exit(main())
