"""Check how many idle claimers a task wakes.

    python -m bench.checks.thundering_herd [--claimers 1000] [--processes 4]

Half of the claimers have no filter, half have filters. One task is submitted, then 100 in one call, then 100
in concurrent calls. MONITOR counts the claim scripts. Exits with 1 unless the single task causes at most 3
claim scripts, the others at most 2 per task, and all tasks are claimed.
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

import redis

from bench.checks.waiting_claimers import ClaimerProcess, Filter, waiting_claimers
from converge_redis import AsyncRedisStore, AsyncTaskManager, EmbeddedServer, RedisStore, Task, TaskManager
from converge_redis.core.scripts import Script

TIMEOUT_SECONDS = 20.0
QUIET_SECONDS = 0.5
FILTERS: list[Filter] = [{}, {"topics": ["news"], "pool_ids": ["readers"], "capabilities": ["read", "write"]}]


def news_tasks(tasks: int) -> list[Task]:
    """Return tasks that all claimers can claim."""
    return [Task(topic="news", pool_id="readers") for _ in range(tasks)]


def submit_each(url: str, tasks: list[Task]) -> None:
    """Submit tasks in concurrent calls, one per task."""

    async def submit() -> None:
        async with AsyncRedisStore.from_url(url) as store:
            manager = AsyncTaskManager(store)
            await asyncio.gather(*[manager.submit(task) for task in tasks])

    asyncio.run(submit())


class ClaimScripts:
    """Counts the executions of the claim script."""

    def __init__(self, url: str) -> None:
        self.count = 0
        self._client = redis.Redis.from_url(url, socket_timeout=None)
        self._monitor: Any = self._client.monitor()  # type: ignore[no-untyped-call]
        self._monitor.__enter__()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        by_sha = f'"EVALSHA" "{Script("tasks/claim_next").sha}"'.encode()  # waiting claimers have loaded it
        while True:
            try:
                line = self._monitor.connection.read_response()
            except (redis.RedisError, OSError, ValueError):
                return  # the server has ended
            self.count += by_sha in line


def count_claimed(processes: list[ClaimerProcess], tasks: int) -> int:
    """Wait until a number of tasks is claimed, and a little longer; return how many are."""
    count = 0
    for claimer_process in processes * 2:  # twice, for late claims
        while count < tasks and claimer_process.pipe.poll(TIMEOUT_SECONDS / 10 if count < tasks else 0):
            claimer_process.pipe.recv()
            count += 1
    threading.Event().wait(QUIET_SECONDS)
    return count


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claimers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    options = parser.parse_args()
    passed = True
    with (
        EmbeddedServer() as server,
        RedisStore.from_url(server.url) as store,
        waiting_claimers(server.url, options.claimers, options.processes, FILTERS) as processes,
    ):
        manager = TaskManager(store)
        scripts = ClaimScripts(server.url)

        def measure(case: str, tasks: int, limit: float, submit: Callable[[list[Task]], Any]) -> bool:
            before = scripts.count
            submit(news_tasks(tasks))
            done = count_claimed(processes, tasks)
            ran = (scripts.count - before) / tasks
            print(f"{case}: {done} of {tasks} claimed, {ran:.2f} claim scripts per task (at most {limit})")
            return done == tasks and ran <= limit

        passed &= measure("one task", 1, 3, lambda tasks: manager.submit(tasks[0]))
        passed &= measure("100 in one call", 100, 2, manager.submit_many)
        passed &= measure("100 in single calls", 100, 2, lambda tasks: submit_each(server.url, tasks))
        violations = manager.audit()
        print(f"audit: {len(violations)} violations")
    return 0 if passed and not violations else 1


if __name__ == "__main__":
    sys.exit(main())
