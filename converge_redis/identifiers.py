"""Ids that are made here: UUIDv7 for what users see, short random ones for calls."""

import base64
import os
import threading
import time

_lock = threading.Lock()
_last = 0
_random: list[str] = []
"""Random text that was not used yet: to ask the system for each id costs as much as the id."""

IDS_AT_ONCE = 256
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The first two bits of the last 64 are the variant's, 10; of a random digit the other two remain."""


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
        digits = _sixteen_digits()
    head = f"{stamp:015x}"
    return f"{head[:8]}-{head[8:12]}-7{head[12:]}-{_VARIANT[digits[0]]}{digits[1:4]}-{digits[4:]}"


def call_id() -> str:
    """Return the id of one call, by which a script knows it again: 11 characters, 64 random bits."""
    with _lock:
        digits = _sixteen_digits()
    return base64.urlsafe_b64encode(bytes.fromhex(digits))[:11].decode()


def _sixteen_digits() -> str:
    """Return 64 random bits that were not used before, in hexadecimal; the caller holds the lock."""
    if not _random:
        digits = os.urandom(8 * IDS_AT_ONCE).hex()
        _random.extend(digits[start : start + 16] for start in range(0, len(digits), 16))
    return _random.pop()


def _forget() -> None:
    """In a forked child: what the parent had in store is the parent's, and so may be the lock."""
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.Lock()
    _random.clear()


os.register_at_fork(after_in_child=_forget)
