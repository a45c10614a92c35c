"""The near cache: values read by this process, dropped when the server reports a change.

A read is registered before its script is sent, and its result is stored only if no key that it depends on
changed meanwhile: the invalidation travels on another connection than the reply, and may overtake it.
"""

import itertools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from converge_redis.notifications.near_cache import NearCache, NearStatistics

Name = tuple[str, str]  # a method, and its argument

ENTRY_BYTES = 500
"""The bytes of an entry besides its data, measured with `tracemalloc`."""

_IMMUTABLE = (type(None), bool, int, float, str, bytes)


class NearEntry:
    """The result of a read.

    Attributes:
        value: The result where it is immutable; else None, and `factory` makes it anew for each reader.
        factory: Makes the result; None for an immutable one.
        version: The version of what was read, if it has one: an entry is never replaced by an older one.
        expires_at: When it expires, on ``time.monotonic()``.
        cost: Seconds that it took to compute; 0 for a plain read.
    """

    __slots__ = ("cost", "expires_at", "factory", "is_used", "keys", "size", "stored_at", "value", "version")

    def __init__(
        self,
        value: Any,
        factory: Callable[[], Any],
        version: int | None,
        expires_at: float,
        size: int,
        keys: Sequence[bytes],
        cost: float,
    ) -> None:
        self.cost = cost
        self.value = value if isinstance(value, _IMMUTABLE) else None
        self.factory = None if isinstance(value, _IMMUTABLE) else factory
        self.version = version
        self.expires_at = expires_at
        self.size = size + ENTRY_BYTES
        self.keys = keys
        self.stored_at = 0
        self.is_used = False

    def is_due(self, early: float) -> bool:
        """Return whether it expires within `early` times its cost, so that it is to be computed again."""
        return time.monotonic() + self.cost * early >= self.expires_at

    def get(self) -> Any:
        """Return the result; the caller may change it."""
        return self.value if self.factory is None else self.factory()


class PendingRead:
    """A read in flight.

    Attributes:
        is_valid: Whether no key that it depends on has changed since it began.
    """

    __slots__ = ("_entries", "began", "is_valid", "keys", "started_at")

    def __init__(self, entries: "NearEntries", keys: Sequence[bytes], began: int) -> None:
        self._entries = entries
        self.keys = keys
        self.began = began
        self.started_at = time.monotonic()
        self.is_valid = True

    def store(
        self,
        name: Name,
        value: Any,
        factory: Callable[[], Any],
        size: int,
        *,
        version: int | None = None,
        valid_for: float | None = None,
        cost: float = 0.0,
    ) -> None:
        """Store the result of the read.

        Args:
            name: The method and its argument.
            value: The result.
            factory: Makes the result anew.
            size: The bytes of its data.
            version: The version of what was read, if it has one.
            valid_for: Seconds until it expires, counted from when the server read it; None: it does not.
            cost: Seconds that it took to compute; 0 for a plain read.
        """
        expires_at = float("inf") if valid_for is None else self.started_at + valid_for
        self._entries.add(self, name, NearEntry(value, factory, version, expires_at, size, self.keys, cost))


class NearEntries:
    """The entries of one listener's near cache. All methods may be called from any thread.

    Args:
        settings: The limits.

    Attributes:
        is_subscribed: Whether the listener receives the reports of changes; entries are valid only then.
    """

    def __init__(self, settings: NearCache) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._entries: OrderedDict[Name, NearEntry] = OrderedDict()
        self._by_key = dict[bytes, set[Name]]()
        self._reads = dict[bytes, set[PendingRead]]()
        self._clock = itertools.count(1)
        self.is_subscribed = False
        self._bytes = self._hits = self._misses = 0
        self._invalidations = self._evictions = self._losses = 0

    def find(self, name: Name) -> NearEntry | None:
        """Return a valid entry, or None."""
        entry = self._entries.get(name)
        if entry is None or not self.is_subscribed or entry.expires_at <= time.monotonic():
            self._misses += 1
            return None
        entry.is_used = True
        self._hits += 1
        return entry

    @contextmanager
    def reading(self, keys: Iterable[str]) -> Iterator[PendingRead]:
        """Register a read that depends on these keys of Redis; `PendingRead.store` stores its result."""
        encoded = [key.encode() for key in keys]
        with self._lock:
            read = PendingRead(self, encoded, next(self._clock))
            read.is_valid = self.is_subscribed
            for key in encoded:
                self._reads.setdefault(key, set()).add(read)
        try:
            yield read
        finally:
            with self._lock:
                for key in encoded:
                    reads = self._reads.get(key)
                    if reads is not None:
                        reads.discard(read)
                        if not reads:
                            del self._reads[key]

    def add(self, read: PendingRead, name: Name, entry: NearEntry) -> None:
        """Store the result of a read, if it is still valid."""
        with self._lock:
            if not read.is_valid or entry.size > self._settings.max_bytes:
                return
            existing = self._entries.get(name)
            if existing is not None:
                if existing.version is not None and entry.version is not None:
                    if existing.version > entry.version:
                        return
                elif existing.stored_at > read.began:
                    self._remove(name)  # both reads overlapped: which result is newer is not known
                    return
                self._remove(name)
            entry.stored_at = next(self._clock)
            self._entries[name] = entry
            self._bytes += entry.size
            for key in entry.keys:
                self._by_key.setdefault(key, set()).add(name)
            self._evict()

    def _evict(self) -> None:
        while len(self._entries) > self._settings.max_entries or self._bytes > self._settings.max_bytes:
            name = next(iter(self._entries))
            entry = self._entries[name]
            if entry.is_used and entry.expires_at > time.monotonic():
                entry.is_used = False
                self._entries.move_to_end(name)  # a second chance
            else:
                self._remove(name)
                self._evictions += 1

    def _remove(self, name: Name) -> None:
        entry = self._entries.pop(name)
        self._bytes -= entry.size
        for key in entry.keys:
            names = self._by_key[key]
            names.discard(name)
            if not names:
                del self._by_key[key]

    def drop(self, keys: Iterable[bytes]) -> None:
        """Drop the entries, and invalidate the reads in flight, that depend on one of these keys of Redis."""
        with self._lock:
            for key in keys:
                for read in self._reads.get(key, ()):
                    read.is_valid = False
                for name in list(self._by_key.get(key, ())):
                    self._remove(name)
                    self._invalidations += 1

    def drop_all(self) -> None:
        """Drop all entries, and invalidate all reads in flight."""
        with self._lock:
            for reads in self._reads.values():
                for read in reads:
                    read.is_valid = False
            self._entries.clear()
            self._by_key.clear()
            self._bytes = 0

    def on_subscribed(self) -> None:
        """Called when reports of changes are received from now on."""
        self.drop_all()
        self.is_subscribed = True

    def on_lost(self) -> None:
        """Called when reports of changes are no longer received."""
        was_subscribed, self.is_subscribed = self.is_subscribed, False
        self._losses += was_subscribed
        self.drop_all()

    def statistics(self) -> NearStatistics:
        """Return the counters."""
        with self._lock:
            return NearStatistics(
                self._hits,
                self._misses,
                len(self._entries),
                self._bytes,
                self._invalidations,
                self._evictions,
                self._losses,
            )
