"""Task management."""

from converge_redis.tasks.manager import AsyncTaskManager, TaskManager

__all__ = ["AsyncTaskManager", "TaskManager"]
