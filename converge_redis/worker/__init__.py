"""Workers."""

from converge_redis.worker.worker import Worker

__all__ = ["Worker"]
