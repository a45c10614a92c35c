"""Stores."""

from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.redis_store import RedisStore, default_store, default_url

__all__ = ["AsyncRedisStore", "RedisStore", "default_store", "default_url"]
