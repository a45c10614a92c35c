"""Task management: the names of ``task_manager`` in the in-memory interface."""

from converge_redis.tasks.manager import AsyncTaskManager, TaskManager

__all__ = ["AsyncTaskManager", "TaskManager"]
