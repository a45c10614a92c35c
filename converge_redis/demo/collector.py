"""The collector: waits for all tasks, and adds up their results."""

from converge_redis.demo.folder import FinishedTask, RunFolder
from converge_redis.demo.total import Total
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.manager import TaskManager

_TASKS_PER_CALL = 500


def collect(store: RedisStore, folder: RunFolder) -> None:
    """Wait until every task is finished, and write their results to the folder of the run.

    Args:
        store: The store with the tasks.
        folder: The folder of the run.
    """
    tasks = TaskManager(store)
    ids = [source.id for source in folder.read_sources()]
    finished: dict[str, FinishedTask] = {}
    total = Total()
    for start in range(0, len(ids), _TASKS_PER_CALL):
        for task in tasks.wait_all(ids[start : start + _TASKS_PER_CALL], timeout=None):
            if task is not None:  # the main process reports tasks that the server does not know
                finished[task.id] = FinishedTask(task.state, task.result, task.assigned_to, task.attempts)
                total.add((task.state, task.result))
    folder.write_collected(finished, total)
