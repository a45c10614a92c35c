"""Ids that are made here: UUIDv7 for what users see, short random ones for calls."""

import base64
import os
import threading
import time

_lock = threading.RLock()  # a signal handler may ask for an id while one is made
_last_ms = 0
_count = 0
_start = ""
_random: list[str] = []
"""Random text that was not used yet: to ask the system for each id costs as much as the id."""

IDS_AT_ONCE = 256
MOST_IN_A_MILLISECOND = 4096


def uuid7() -> str:
    """Return a new UUID of version 7 as text; those of one process are in ascending order.

    The 12 bits after the time in milliseconds count what is made within one; where they do not suffice, or
    the clock was set back, the time counts on (RFC 9562, section 6.2, method 1).
    """
    global _last_ms, _count, _start  # noqa: PLW0603 - the one place that counts
    now_ms = time.time_ns() // 1_000_000
    with _lock:
        _count += 1
        if now_ms > _last_ms or _count >= MOST_IN_A_MILLISECOND:
            _last_ms = max(now_ms, _last_ms + 1)
            _count = 0
            digits = f"{_last_ms:012x}"
            _start = f"{digits[:8]}-{digits[8:]}-7"
        rest = _random.pop() if _random else _more_random()
        return f"{_start}{_count:03x}-8{rest[1:4]}-{rest[4:]}"  # 8: the variant; 60 bits are random


def call_id() -> str:
    """Return the id of one call, by which a script knows it again: 11 characters, 64 random bits."""
    with _lock:
        rest = _random.pop() if _random else _more_random()
    return base64.urlsafe_b64encode(bytes.fromhex(rest))[:11].decode()


def _more_random() -> str:
    """Return 64 random bits in hexadecimal, and keep more; the caller holds the lock."""
    digits = os.urandom(8 * IDS_AT_ONCE).hex()
    _random.extend(digits[start : start + 16] for start in range(0, len(digits), 16))
    return _random.pop()


def _forget() -> None:
    """In a forked child: what the parent had in store is the parent's, and so may be the lock."""
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.RLock()
    _random.clear()


os.register_at_fork(after_in_child=_forget)
