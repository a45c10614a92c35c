"""Pool management."""

from converge_redis.pools.manager import AsyncPoolManager, PoolManager

__all__ = ["AsyncPoolManager", "PoolManager"]
