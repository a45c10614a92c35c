"""Watchers: calls that wait for a watched key to change: a negotiation, an auction, a cached value."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Generic, TypeVar

from converge_redis.core.batching import batches_by
from converge_redis.core.durations import optional_seconds
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Procedure, send_all
from converge_redis.core.scripts import Script
from converge_redis.notifications.listener import Listener, ListenerPart, Loop
from converge_redis.notifications.steps import on_listener
from converge_redis.notifications.waiters import Observation, Waiter, Waiters

_UNWATCH = Script("notifications/unwatch")

KEYS_PER_SCRIPT = 200

T = TypeVar("T")
Name = tuple[int, str]  # a shard, and the name of a watched key there


@dataclass(frozen=True, slots=True, eq=False)
class WatchedKey(Generic[T]):
    """One call's interest in a key of a shard.

    Attributes:
        shard: The shard.
        key: The name by which the shard's scripts report a change: ``"auction:<id>"``.
        read_and_watch: Makes the operation that reads the state and, where it does not have the result yet,
            registers the listener with this id.
    """

    shard: int
    key: str
    read_and_watch: Callable[[str], Operation[Observation[T]]]


class Watchers(ListenerPart):
    """All calls of a listener that wait for watched keys."""

    messages: ClassVar = {b"news": "_on_change"}

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._waiters: Waiters[WatchedKey[Any], Any] = Waiters(self._read, self._unwatch)
        self._by_name = dict[Name, set[WatchedKey[Any]]]()

    def watch(self, keys: Sequence[WatchedKey[Any]]) -> Waiter[WatchedKey[Any], Any]:
        """Begin to wait for the first change among several keys; `unwatch` ends it."""
        for watched in keys:
            self._by_name.setdefault((watched.shard, watched.key), set()).add(watched)
        waiter: Waiter[WatchedKey[Any], Any] = Waiter(keys, 1)
        self._waiters.add(waiter)
        return waiter

    def unwatch(self, waiter: Waiter[WatchedKey[Any], Any]) -> None:
        """End a wait, done or not."""
        for watched in waiter.keys:
            name = (watched.shard, watched.key)
            others = self._by_name.get(name, set())
            others.discard(watched)
            if not others:
                self._by_name.pop(name, None)
        self._waiters.remove(waiter)

    def loops(self) -> Sequence[Loop]:
        """See `ListenerPart`."""
        return [self._waiters.run]

    def on_subscribed(self) -> None:
        """See `ListenerPart`."""
        self._waiters.read_all_again()

    def fail_all(self, error: BaseException) -> None:
        """See `ListenerPart`."""
        self._waiters.fail_all(error)

    async def unregister(self) -> None:
        """See `ListenerPart`."""
        self._by_name.clear()
        await self._unwatch(self._waiters.watched)

    def _on_change(self, shard: int, key: bytes) -> None:
        for watched in self._by_name.get((shard, key.decode()), ()):
            self._waiters.read_again(watched)

    async def _read(self, keys: Sequence[WatchedKey[Any]]) -> dict[WatchedKey[Any], Observation[Any]]:
        operations = [watched.read_and_watch(self._listener.id) for watched in keys]
        observations = await self._listener.run(send_all(operations))
        return dict(zip(keys, observations, strict=True))

    async def _unwatch(self, keys: Sequence[WatchedKey[Any]]) -> None:
        names = {(watched.shard, watched.key) for watched in keys}
        unwatched = [name for name in names if name not in self._by_name]
        for shard, batch in batches_by(lambda name: name[0], unwatched, KEYS_PER_SCRIPT):
            operation = unwatch(self._listener.namespace, shard, self._listener.id, [key for _, key in batch])
            await self._listener.run(operation)


def unwatch(namespace: Namespace, shard: int, listener: str, keys: Sequence[str]) -> Operation[None]:
    """Unregister a listener for some keys of a shard."""
    return Operation(_UNWATCH, namespace.keys.shard(shard), (listener, *keys), lambda _reply: None)


def wait_for(watched: WatchedKey[T], timeout: float | None) -> Procedure[T | None]:
    """Wait for a change; None: there is no such session, or the time is up."""
    return (yield from wait_for_one([watched], timeout))


def wait_for_one(keys: Sequence[WatchedKey[T]], timeout: float | None) -> Procedure[T | None]:
    """Wait for the first of several changes; None: there are no such sessions, or the time is up."""
    if timeout == 0:
        return None
    return (yield from on_listener(partial(_first_change, keys, timeout)))


async def _first_change(keys: Sequence[WatchedKey[T]], timeout: float | None, listener: Listener) -> T | None:
    watchers = listener.part(Watchers)
    waiter = watchers.watch(keys)
    try:
        results = await waiter.wait_for(timeout)
    finally:
        watchers.unwatch(waiter)
    return results[0] if results else None


def read_observation(reply: Sequence[Any], decode: Callable[[Sequence[Any]], T]) -> Observation[T]:
    """Decode the reply of a script that reads a session and registers a listener."""
    match reply[0]:
        case b"UNKNOWN":
            return Observation(None, False, None)
        case b"WAIT":
            return Observation(None, True, optional_seconds(reply[1]))
    return Observation(decode(reply), True, None)
