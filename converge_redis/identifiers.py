"""Ids that are made here: UUIDv7 for what users see, short random ones for calls."""

import base64
import os
import threading
import time

_lock = threading.Lock()
_last = 0
_random = bytearray()
"""Bytes of the system's random generator, not used yet: to ask for each id costs as much as the id."""

RANDOM_AT_ONCE = 4096


def uuid7() -> str:
    """Return a new UUID of version 7 as text; those of one process are in ascending order.

    The 48-bit time in milliseconds and the 12 bits after it count up together, so that ids made within one
    millisecond, or after the clock was set back, still ascend (RFC 9562, section 6.2, method 3).
    """
    global _last  # noqa: PLW0603 - the one place that counts
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    stamp = milliseconds << 12 | (rest << 12) // 1_000_000
    with _lock:
        _last = stamp = stamp if stamp > _last else _last + 1
        variant = int.from_bytes(_eight_bytes()) >> 2 | 2 << 62
    text = f"{stamp >> 12:012x}7{stamp & 0xFFF:03x}{variant:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def call_id() -> str:
    """Return the id of one call, by which a script knows it again: 11 characters, 64 random bits."""
    with _lock:
        return base64.urlsafe_b64encode(_eight_bytes())[:11].decode()


def _eight_bytes() -> bytes:
    """Return random bytes that were not used before; the caller holds the lock."""
    if not _random:
        _random.extend(os.urandom(RANDOM_AT_ONCE))
    taken = bytes(_random[-8:])
    del _random[-8:]
    return taken


def _forget() -> None:
    """In a forked child: what the parent had in store is the parent's, and so may be the lock."""
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    _random.clear()


os.register_at_fork(after_in_child=_forget)
