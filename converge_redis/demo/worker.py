"""The worker: parses the files of the tasks that it claims, and keeps a journal."""

import os
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

_JOURNALED = {"claimed": "claimed", "completed": "accepted", "failed": "accepted", "lost": "lost"}


def make_worker(store: RedisStore, folder: RunFolder, plan: WorkerPlan) -> Worker:
    """Join the pools of the plan, and make the worker.

    Args:
        store: Where the tasks are.
        folder: The run.
        plan: What the worker may claim, and how.
    """
    pools = PoolManager(store)
    for pool in plan.pools:
        pools.join_pool(plan.name, pool)
    journal = Journal(folder.path, plan.name)
    begun = Counter[str]()

    def handle(task: Task) -> Any:
        if plan.gets_stuck and begun["handled"] >= begun["claimed"] // 2:
            current_claim().wait_lost()  # as in work that never ends, while the claim is kept alive
            current_claim().check()
        begun["handled"] += 1
        state, result = analyse(os.fsdecode(task.inputs["path"]))
        if state != TaskState.COMPLETED:
            raise TaskFailure(result)
        return result

    def write_down(event: str, task: Task) -> None:
        begun[event] += 1
        if event in _JOURNALED:
            journal.write(_JOURNALED[event], task.id, task.claim_token)

    return Worker(
        store,
        plan.name,
        handle,
        pool_ids=pools.get_pools_for_agent(plan.name),
        capabilities=plan.capabilities,
        topics=plan.topics,
        concurrency=plan.count,
        on_event=write_down,
    )
