"""How verbs wait for sessions to change: negotiations, auctions, ballots, contracts."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Steps, listen
from converge_redis.core.scripts import Script
from converge_redis.tasks.waiters import Look, seconds

if TYPE_CHECKING:
    from converge_redis.notifications.listener import Listener

_LOOK_AWAY = Script("notifications/unwatch")

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Watched(Generic[T]):
    """A change that one call waits for.

    Attributes:
        shard: Where the session is.
        what: What it is called there: ``"auction:<id>"``.
        look: Makes the operation that reads the session, and unless it has changed has a listener told.
    """

    shard: int
    what: str
    look: Callable[[str], Operation[Look[T]]]


def look_away(space: Namespace, shard: int, listener: str, what: Sequence[str]) -> Operation[None]:
    """Have a listener not told any more of what happens to sessions."""
    return Operation(_LOOK_AWAY, space.keys.shard(shard), (listener, *what), lambda _reply: None)


def wait_for(watched: Watched[T], timeout: float | None) -> Steps[T | None]:
    """Wait for a change; None: there is no such session, or the seconds are over."""
    return (yield from wait_for_one([watched], timeout))


def wait_for_one(watched: Sequence[Watched[T]], timeout: float | None) -> Steps[T | None]:
    """Wait for one of several changes; None: there are no such sessions, or the seconds are over."""
    if timeout == 0:
        return None
    return (yield from listen(partial(_seen, watched, timeout)))


async def _seen(watched: Sequence[Watched[T]], timeout: float | None, listener: "Listener") -> T | None:
    wait = listener.watches.begin(watched)
    try:
        async with asyncio.timeout(timeout):
            await wait.over()
    except TimeoutError:
        pass
    finally:
        listener.watches.end(wait)
    return wait.ended[0] if wait.ended else None


def read_look(reply: Sequence[Any], read: Callable[[Sequence[Any]], T]) -> Look[T]:
    """Read the reply of a script that looks at a session for a listener."""
    match reply[0]:
        case b"UNKNOWN":
            return Look(None, False, None)
        case b"WAIT":
            return Look(None, True, seconds(reply[1]))
    return Look(read(reply), True, None)
