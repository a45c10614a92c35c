"""Stores: the connection and namespace of a fleet, and its key-value store."""

from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.default import default_async_store, default_store, default_url
from converge_redis.store.redis_store import RedisStore

__all__ = ["AsyncRedisStore", "RedisStore", "default_async_store", "default_store", "default_url"]
