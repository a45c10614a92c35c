"""Copies of what was read, right for as long as the listener hears what changes.

A reading begins before its script is sent, and what it has found is kept only if none of the keys it depends
on changed until then: the message about a change travels on another connection than the reply, and may come
first.
"""

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from converge_redis.notifications.near_cache import NearCache, NearStatistics

Name = tuple[str, str]  # a verb, and what it was asked for

ENTRY_BYTES = 500
"""What a copy takes besides its data, measured with `tracemalloc`."""

_IMMUTABLE = (type(None), bool, int, float, str, bytes)


class Copy:
    """What a verb has returned.

    Attributes:
        value: It, or None: `make` makes it anew for each reader, who may change it.
        make: Makes it.
        version: Its version, if it has one: a copy is not replaced by an older one.
        expires_at: When it is no longer right, on ``time.monotonic()``.
        cost: The seconds that it took to compute, if it was.
    """

    __slots__ = ("added", "cost", "expires_at", "is_used", "keys", "make", "size", "value", "version")

    def __init__(
        self,
        value: Any,
        make: Callable[[], Any],
        version: int | None,
        expires_at: float,
        size: int,
        keys: Sequence[bytes],
        cost: float,
    ) -> None:
        self.cost = cost
        self.value = value if isinstance(value, _IMMUTABLE) else None
        self.make = None if isinstance(value, _IMMUTABLE) else make
        self.version = version
        self.expires_at = expires_at
        self.size = size + ENTRY_BYTES
        self.keys = keys
        self.added = 0
        self.is_used = False

    def is_due(self, early: float) -> bool:
        """Tell whether it is to be computed again: this many times its cost before it is no longer right."""
        return time.monotonic() + self.cost * early >= self.expires_at

    def get(self) -> Any:
        """Return what the verb has returned, which the caller may change."""
        return self.value if self.make is None else self.make()


class Reading:
    """A read that is under way.

    Attributes:
        is_right: Whether nothing that it depends on has changed since it began.
    """

    __slots__ = ("_copies", "began", "is_right", "keys", "started_at")

    def __init__(self, copies: "NearCopies", keys: Sequence[bytes], began: int) -> None:
        self._copies = copies
        self.keys = keys
        self.began = began
        self.started_at = time.monotonic()
        self.is_right = True

    def keep(
        self,
        name: Name,
        value: Any,
        make: Callable[[], Any],
        size: int,
        *,
        version: int | None = None,
        lasts: float | None = None,
        cost: float = 0.0,
    ) -> None:
        """Keep what was found.

        Args:
            name: Under which name.
            value: It.
            make: Makes it anew.
            size: The bytes that it takes.
            version: Its version, if it has one.
            cost: The seconds that it took to compute, if it was.
            lasts: Seconds for which it was right, when the server read it; None: until it changes.
        """
        expires_at = float("inf") if lasts is None else self.started_at + lasts
        self._copies.add(self, name, Copy(value, make, version, expires_at, size, self.keys, cost))


class NearCopies:
    """The copies of one listener. All methods may be called from any thread.

    Args:
        settings: How many to keep.

    Attributes:
        is_heard: Whether the listener hears what changes.
    """

    def __init__(self, settings: NearCache) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._copies: OrderedDict[Name, Copy] = OrderedDict()
        self._by_key = dict[bytes, set[Name]]()
        self._readings = dict[bytes, set[Reading]]()
        self._clock = itertools.count(1)
        self.is_heard = False
        self._bytes = self._hits = self._misses = 0
        self._invalidations = self._evictions = self._losses = 0

    def find(self, name: Name) -> Copy | None:
        """Return a copy, if there is one and it is right."""
        copy = self._copies.get(name)
        if copy is None or not self.is_heard or copy.expires_at <= time.monotonic():
            self._misses += 1
            return None
        copy.is_used = True
        self._hits += 1
        return copy

    @contextmanager
    def reading(self, keys: Iterable[str]) -> Iterator[Reading]:
        """Begin to read something that depends on these keys of Redis; `Reading.keep` keeps it."""
        named = [key.encode() for key in keys]
        with self._lock:
            reading = Reading(self, named, next(self._clock))
            reading.is_right = self.is_heard
            for key in named:
                self._readings.setdefault(key, set()).add(reading)
        try:
            yield reading
        finally:
            with self._lock:
                for key in named:
                    under_way = self._readings.get(key)
                    if under_way is not None:
                        under_way.discard(reading)
                        if not under_way:
                            del self._readings[key]

    def add(self, reading: Reading, name: Name, copy: Copy) -> None:
        """Keep what a reading has found, if it is right still."""
        with self._lock:
            if not reading.is_right or copy.size > self._settings.max_bytes:
                return
            there = self._copies.get(name)
            if there is not None:
                if there.version is not None and copy.version is not None:
                    if there.version > copy.version:
                        return
                elif there.added > reading.began:
                    self._remove(name)  # both were read at about the same time: which is newer is not known
                    return
                self._remove(name)
            copy.added = next(self._clock)
            self._copies[name] = copy
            self._bytes += copy.size
            for key in copy.keys:
                self._by_key.setdefault(key, set()).add(name)
            self._make_room()

    def _make_room(self) -> None:
        while len(self._copies) > self._settings.max_entries or self._bytes > self._settings.max_bytes:
            name = next(iter(self._copies))
            copy = self._copies[name]
            if copy.is_used and copy.expires_at > time.monotonic():
                copy.is_used = False
                self._copies.move_to_end(name)  # a second chance
            else:
                self._remove(name)
                self._evictions += 1

    def _remove(self, name: Name) -> None:
        copy = self._copies.pop(name)
        self._bytes -= copy.size
        for key in copy.keys:
            names = self._by_key[key]
            names.discard(name)
            if not names:
                del self._by_key[key]

    def drop(self, keys: Iterable[bytes]) -> None:
        """Keep no copy, and nothing that is being read, that depends on one of these keys of Redis."""
        with self._lock:
            for key in keys:
                for reading in self._readings.get(key, ()):
                    reading.is_right = False
                for name in list(self._by_key.get(key, ())):
                    self._remove(name)
                    self._invalidations += 1

    def drop_all(self) -> None:
        """Keep nothing."""
        with self._lock:
            for under_way in self._readings.values():
                for reading in under_way:
                    reading.is_right = False
            self._copies.clear()
            self._by_key.clear()
            self._bytes = 0

    def on_heard(self) -> None:
        """What changes is heard from now on."""
        self.drop_all()
        self.is_heard = True

    def on_lost(self) -> None:
        """What changes is not heard any more."""
        was_heard, self.is_heard = self.is_heard, False
        self._losses += was_heard
        self.drop_all()

    def statistics(self) -> NearStatistics:
        """Return what was done so far."""
        with self._lock:
            return NearStatistics(
                self._hits,
                self._misses,
                len(self._copies),
                self._bytes,
                self._invalidations,
                self._evictions,
                self._losses,
            )
