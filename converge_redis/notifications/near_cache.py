"""The near cache of a store: its settings and its statistics."""

from dataclasses import dataclass
from typing import Any

from converge_redis.core.validation import short_repr, validate_integer
from converge_redis.errors import InvalidTypeError


@dataclass(frozen=True, slots=True)
class NearCache:
    """Keep what was read in the process, and have the server report when it changes.

    The server reports each change of the namespace's values, pools and results to each process with a near
    cache (``CLIENT TRACKING`` in broadcast mode): use it where reads outnumber writes. An entry is dropped
    when it is reported as changed, or expires; all entries are dropped when the connection that receives the
    reports is lost. A write is visible to all readers after the time that one message takes; a half-open
    connection is detected within 4 seconds.

    Attributes:
        max_entries: The most entries.
        max_bytes: The most bytes of data in them; the least used entries are evicted first.
    """

    max_entries: int = 10_000
    max_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        validate_integer("max_entries", self.max_entries, 1, 2**31)
        validate_integer("max_bytes", self.max_bytes, 1, 2**40)


def validate_near_cache(value: Any) -> NearCache | None:
    """Validate the `near_cache` argument of a store.

    Raises:
        InvalidTypeError: It is neither a `NearCache` nor None.
    """
    if value is None or isinstance(value, NearCache):
        return value
    raise InvalidTypeError(f"near_cache must be a NearCache or None, not {short_repr(value)}")


@dataclass(frozen=True, slots=True)
class NearStatistics:
    """Counters of a near cache since its store was made.

    Attributes:
        hits: Reads that an entry answered.
        misses: Reads that were sent to the server.
        entries: The entries now.
        bytes: The bytes of data in them.
        invalidations: Entries dropped because what they depend on has changed.
        evictions: Entries dropped to make room.
        losses: How often all entries were dropped because the connection was lost.
    """

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0
    invalidations: int = 0
    evictions: int = 0
    losses: int = 0
