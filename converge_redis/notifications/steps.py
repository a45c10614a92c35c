"""Steps of procedures that use the listener and the near cache, with their types."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from converge_redis.core.operation import (
    OnListener,
    Operation,
    Procedure,
    ReadNear,
    WithListener,
    send,
)
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.near_entries import NearEntries

T = TypeVar("T")


def on_listener(call: Callable[[Listener], Coroutine[Any, Any, T]]) -> Procedure[T]:
    """Run a coroutine function on the listener, in the listener's event loop, and return its result."""
    result: T = yield OnListener(call)
    return result


def with_listener(call: Callable[[Listener], T]) -> Procedure[T]:
    """Call a plain function with the started listener, from whatever thread runs the procedure."""
    result: T = yield WithListener(call)
    return result


def near_entries() -> Procedure[NearEntries | None]:
    """Return the entries of the near cache; None where it is off."""
    entries: NearEntries | None = yield ReadNear()
    return entries


def invalidating(work: Operation[T] | Procedure[T], *keys: str) -> Procedure[T]:
    """Execute a write, then drop the near-cache entries of this process that depend on these keys of Redis.

    The server's invalidation message may arrive after the reply, and a process must read its own writes.
    """
    result: T = yield from (send(work) if isinstance(work, Operation) else work)
    entries = yield from near_entries()
    if entries is not None:
        entries.drop(key.encode() for key in keys)
    return result
