"""Pool management: the names of ``pool_manager`` in the in-memory interface."""

from converge_redis.pools.manager import AsyncPoolManager, PoolManager

__all__ = ["AsyncPoolManager", "PoolManager"]
