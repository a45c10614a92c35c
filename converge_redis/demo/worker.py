"""The worker: claims tasks, parses the files, reports."""

import os
import time

from converge_redis.demo.analysis import analyse
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.journal import Journal
from converge_redis.demo.plan import CLAIM_TTL_SEC, WorkerPlan
from converge_redis.errors import ClaimLostError, StoreClosedError
from converge_redis.pool_manager import PoolManager
from converge_redis.store import RedisStore
from converge_redis.task import Task, TaskState
from converge_redis.task_manager import TaskManager

_WAIT_SEC = 60.0  # then the worker asks again; work that comes earlier wakes it at once


class Worker:
    """One worker.

    Args:
        store: Where the tasks are.
        folder: The run.
        plan: What the worker may claim, and how.
    """

    def __init__(self, store: RedisStore, folder: RunFolder, plan: WorkerPlan) -> None:
        self._tasks = TaskManager(store)
        self._pools = PoolManager(store)
        self._journal = Journal(folder.path, plan.name)
        self._plan = plan

    def work(self) -> None:
        """Work until the store is closed."""
        plan = self._plan
        try:
            for pool in plan.pools:
                self._pools.join_pool(plan.name, pool)
            pools = self._pools.get_pools_for_agent(plan.name)
            while True:
                claimed = self._tasks.claim_next(
                    plan.name, pools, plan.capabilities, plan.topics, count=plan.count, wait=_WAIT_SEC
                )
                for task in claimed:
                    self._journal.write("claimed", task.id, task.claim_token)
                stuck_at = (len(claimed) + 1) // 2 if plan.gets_stuck else 0
                while len(claimed) > stuck_at:
                    self._finish(claimed[0])
                    claimed = self._extended(claimed[1:])
                self._be_stuck(claimed)
        except StoreClosedError:
            return

    def _finish(self, task: Task) -> None:
        """Do one task, and note in the journal what the server says to its outcome."""
        name, token = self._plan.name, task.claim_token
        try:
            self._tasks.start(name, task.id, claim_token=token)
            state, result = analyse(os.fsdecode(task.inputs["path"]))
            if state == TaskState.COMPLETED:
                accepted = self._tasks.report(name, task.id, result, claim_token=token)
            else:
                accepted = self._tasks.fail_task(task.id, result, agent_id=name, claim_token=token)
        except ClaimLostError:  # this process was too slow: another worker has the task by now
            self._journal.write("lost", task.id, token)
            return
        if accepted:
            self._journal.write("accepted", task.id, token)

    def _extended(self, held: list[Task]) -> list[Task]:
        """Extend claims on tasks that have to wait; returns those that are not lost."""
        name = self._plan.name
        return [
            task for task in held if self._tasks.extend_claim(name, task.id, claim_token=task.claim_token)
        ]

    def _be_stuck(self, held: list[Task]) -> None:
        """Hold claims without ever finishing them, as a worker does in work that takes long."""
        while held:
            held = self._extended(held)
            time.sleep(CLAIM_TTL_SEC / 5)
