"""The submitter: submits a task for each file."""

from converge_redis.demo.folder import RunFolder
from converge_redis.demo.plan import tasks_of, topics_of
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.manager import TaskManager

_TASKS_PER_CALL = 1000


def submit(store: RedisStore, folder: RunFolder) -> None:
    """Submit a task for each file of the run.

    Args:
        store: The store with the tasks.
        folder: The folder of the run.
    """
    tasks = TaskManager(store)
    sources = folder.read_sources()
    topics = topics_of(sources)
    for start in range(0, len(sources), _TASKS_PER_CALL):
        tasks.submit_many(tasks_of(sources[start : start + _TASKS_PER_CALL], topics))
