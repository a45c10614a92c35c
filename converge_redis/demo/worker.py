"""The worker: parses the files of the tasks that it claims, and writes a journal."""

import os
import threading
from collections import Counter
from typing import Any

from converge_redis.demo.analysis import analyse
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.journal import Journal
from converge_redis.demo.plan import WorkerPlan
from converge_redis.pools.manager import PoolManager
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.model import Task, TaskState
from converge_redis.worker.claim import current_claim
from converge_redis.worker.outcomes import TaskFailure
from converge_redis.worker.worker import Worker

_JOURNAL_EVENTS = {"claimed": "claimed", "completed": "accepted", "failed": "accepted", "lost": "lost"}


def make_worker(store: RedisStore, folder: RunFolder, plan: WorkerPlan) -> Worker:
    """Join the pools of the plan, and make the worker.

    Args:
        store: The store with the tasks.
        folder: The folder of the run.
        plan: The options of the worker.
    """
    pools = PoolManager(store)
    for pool in plan.pools:
        pools.join_pool(plan.name, pool)
    journal = Journal(folder.path, plan.name)
    counts = Counter[str]()
    lock = threading.Lock()  # handlers run in several threads

    def should_hang() -> bool:
        """Return whether the worker hangs in this task; count the tasks in which it does not."""
        with lock:
            if plan.hangs and counts["handled"] >= counts["claimed"] // 2:
                return True
            counts["handled"] += 1
            return False

    def handle(task: Task) -> Any:
        if should_hang():
            current_claim().wait_lost()  # like a task that never ends; the claim is renewed meanwhile
            current_claim().check()
        state, result = analyse(os.fsdecode(task.inputs["path"]))
        if state != TaskState.COMPLETED:
            raise TaskFailure(result)
        return result

    def on_event(event: str, task: Task) -> None:
        counts[event] += 1
        if event in _JOURNAL_EVENTS:
            journal.write(_JOURNAL_EVENTS[event], task.id, task.claim_token)

    return Worker(
        store,
        plan.name,
        handle,
        pool_ids=pools.get_pools_for_agent(plan.name),
        capabilities=plan.capabilities,
        topics=plan.topics,
        concurrency=plan.concurrency,
        on_event=on_event,
    )
