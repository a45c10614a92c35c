"""Workers: the loop from a claim to its outcome, for functions and coroutine functions."""

from converge_redis.worker.worker import Worker

__all__ = ["Worker"]
