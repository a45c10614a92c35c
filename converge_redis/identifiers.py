"""Ids that are made here: UUIDv7 for what users see, short random ones for calls."""

import secrets
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """Return a new UUID of version 7 as text; those of one process are in ascending order.

    The 48-bit time in milliseconds and the 12 bits after it count up together, so that ids made within one
    millisecond, or after the clock was set back, still ascend (RFC 9562, section 6.2, method 3).
    """
    global _last  # noqa: PLW0603 - the one place that counts
    nanoseconds = time.time_ns()
    milliseconds, rest = divmod(nanoseconds, 1_000_000)
    with _lock:
        _last = max(_last + 1, milliseconds << 12 | (rest << 12) // 1_000_000)
        stamp = _last
    number = (stamp >> 12) << 80 | 7 << 76 | (stamp & 0xFFF) << 64 | 2 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=number))


def call_id() -> str:
    """Return the id of one call, by which a script knows it again: 11 characters, 64 random bits."""
    return secrets.token_urlsafe(8)
