"""The near cache: settings, and what it has done."""

from dataclasses import dataclass
from typing import Any

from converge_redis.core.validation import check_integer, shown
from converge_redis.errors import InvalidTypeError


@dataclass(frozen=True, slots=True)
class NearCache:
    """Keep copies of what was read in the process, and have the server tell when they are no longer right.

    The server sends each change below the namespace's values, pools and results to each process that keeps
    copies (``CLIENT TRACKING`` in broadcast mode): use it where reads outnumber writes. A copy is dropped
    when the message comes, or its value expires; all are when the connection that brings messages breaks.
    After a write no reader sees the old value for longer than the message's way; a connection that has died
    without a sign is noticed after 4 seconds.

    Attributes:
        max_entries: The most copies.
        max_bytes: The most bytes of the copied data; the least used copies go first.
    """

    max_entries: int = 10_000
    max_bytes: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        check_integer("max_entries", self.max_entries, 1, 2**31)
        check_integer("max_bytes", self.max_bytes, 1, 2**40)


def check_near_cache(given: Any) -> NearCache | None:
    """Check what a store is given as its near cache.

    Raises:
        InvalidTypeError: It is neither settings nor None.
    """
    if given is None or isinstance(given, NearCache):
        return given
    raise InvalidTypeError(f"near_cache must be a NearCache or None, not {shown(given)}")


@dataclass(frozen=True, slots=True)
class NearStatistics:
    """What a near cache has done since the store was made.

    Attributes:
        hits: Reads that a copy answered.
        misses: Reads that asked the server.
        entries: How many copies there are.
        bytes: What the copied data takes.
        invalidations: Copies that were dropped because what they copy has changed.
        evictions: Copies that were dropped for lack of room.
        losses: How often all were dropped because the connection broke.
    """

    hits: int = 0
    misses: int = 0
    entries: int = 0
    bytes: int = 0
    invalidations: int = 0
    evictions: int = 0
    losses: int = 0
