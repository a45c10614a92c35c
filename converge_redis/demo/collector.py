"""The collector: waits for all tasks, as they come, and adds up their results."""

from converge_redis.demo.folder import Finished, RunFolder
from converge_redis.demo.total import Total
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.manager import TaskManager

_TASKS_TOGETHER = 500


def collect(store: RedisStore, folder: RunFolder) -> None:
    """Wait until every submitted task is finished, and write down what came out.

    Args:
        store: Where the tasks are.
        folder: The run.
    """
    tasks = TaskManager(store)
    ids = [source.id for source in folder.read_sources()]
    finished: dict[str, Finished] = {}
    total = Total()
    for start in range(0, len(ids), _TASKS_TOGETHER):
        for task in tasks.wait_all(ids[start : start + _TASKS_TOGETHER], timeout=None):
            if task is not None:  # else the server does not know it, which the main process will tell
                finished[task.id] = Finished(task.state, task.result, task.assigned_to, task.attempts)
                total.add((task.state, task.result))
    folder.write_collected(finished, total)
