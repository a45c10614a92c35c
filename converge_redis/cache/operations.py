"""Reading and changing a cache without computing: get, put, delete, delete_tags, clear, count."""

from collections.abc import Iterable
from typing import Any

from converge_redis.cache.entries import (
    CacheContext,
    CacheRequest,
    decode_hit,
    find_or_lock,
    milliseconds,
    plainly_fresh,
)
from converge_redis.core.operation import Argument, Command, Operation, Procedure, Unfinished, send
from converge_redis.core.scripts import Script
from converge_redis.notifications.near_entries import NearEntries, PendingRead
from converge_redis.notifications.steps import invalidating
from converge_redis.store import values

_PUT = Script("cache/put")
_DELETE_TAGS = Script("cache/delete_tags")


def get(cache: CacheContext, key: str, default: Any = None) -> Command[Any]:
    """Return the value under a key while it is fresh.

    Args:
        key: The key.
        default: What to return when there is none.
    """
    name = cache.name(key)

    def decode(raw: bytes | None) -> Any:
        if raw is None:
            cache.counters.add("misses")
            return default
        if (data := plainly_fresh(raw)) is not None:
            cache.counters.hit(len(raw))
            return cache.namespace.values.decode(data)
        raise Unfinished(_find(cache, name, default, None))

    return Command(("GET", cache.namespace.keys.value(name)), decode)


def get_near(cache: CacheContext, entries: NearEntries, key: str, default: Any = None) -> Procedure[Any]:
    """Read as `get` does, and store the value in the near cache."""
    name = cache.name(key)
    with entries.reading([cache.namespace.keys.value(name)]) as read:
        return (yield from _find(cache, name, default, read))


def _find(cache: CacheContext, name: str, default: Any, read: PendingRead | None) -> Procedure[Any]:
    found = yield from send(find_or_lock(cache, CacheRequest(name, "")))
    if found.word == b"FRESH":
        return decode_hit(cache, name, found, read)
    cache.counters.add("misses")
    return default


def put(
    cache: CacheContext,
    key: str,
    value: Any,
    ttl: float,
    *,
    stale_ttl: float = 0.0,
    tags: Iterable[str] = (),
) -> Procedure[None]:
    """Store a value; a computation of it that is in progress does not replace it.

    Args:
        key: The key.
        value: A value of the types that the store accepts.
        ttl: Seconds for which it is fresh.
        stale_ttl: Seconds after that for which it is served while one caller computes it anew.
        tags: Groups to which it belongs, at most 100.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: An argument cannot be stored.
    """
    name = cache.name(key)
    data = cache.namespace.values.encode(value)
    arguments: tuple[Argument, ...] = (name, data, *milliseconds(ttl, stale_ttl), *cache.encode_tags(tags))
    operation = Operation(_PUT, cache.namespace.keys.values, arguments, lambda _reply: None)
    yield from invalidating(operation, cache.namespace.keys.value(name))
    cache.counters.add("bytes_written", len(data))


def delete(cache: CacheContext, key: str) -> Procedure[None]:
    """Delete the value under a key; a computation of it that is in progress is not stored.

    Args:
        key: The key.
    """
    return values.delete(cache.namespace, cache.name(key))


def delete_tags(cache: CacheContext, tags: str | Iterable[str]) -> Procedure[None]:
    """Delete all values that have one of some tags, at once; values that are being computed are not stored.

    Args:
        tags: One tag, or several.
    """
    encoded = cache.encode_tags([tags] if isinstance(tags, str) else tags)
    if encoded:
        keys = cache.namespace.keys
        operation = Operation(_DELETE_TAGS, keys.values, tuple(encoded), lambda _reply: None)
        yield from invalidating(operation, *map(keys.tag, encoded))


def clear(cache: CacheContext) -> Procedure[int]:
    """Delete all values of the cache, in steps of up to 500.

    Returns:
        The number of deleted values.
    """
    return values.clear(cache.namespace, cache.prefix)


def count(cache: CacheContext) -> Procedure[int]:
    """Count the values of the cache, stale values and values with deleted tags included."""
    return values.count(cache.namespace, cache.prefix)
