"""Ids that are made here: UUIDv7 for what users see, short random ones for calls."""

import base64
import os
import threading
import time
from collections.abc import Iterator

_lock = threading.RLock()  # a signal handler may ask for an id while one is made
_last_ms = 0
_start = ""
_ends: list[str] = []
"""What ids go on with after the time, last first: made one by one they would cost as much as the id."""

_random: list[str] = []
"""Random text for ids of calls that was not used yet."""

IDS_AT_ONCE = 256
IDS_IN_A_MILLISECOND = 1024


def uuid7() -> str:
    """Return a new UUID of version 7 as text; those of one process are in ascending order.

    The 12 bits after the time in milliseconds count. Where the count begins again, or the clock was set back,
    the time counts on (RFC 9562, section 6.2, method 1).
    """
    now_ms = time.time_ns() // 1_000_000
    with _lock:
        if now_ms > _last_ms:
            _count_from(now_ms)
        try:
            return _start + _ends.pop()
        except IndexError:
            _ends.extend(_new_ends())
            _count_from(max(now_ms, _last_ms + 1))
            return _start + _ends.pop()


def _count_from(time_ms: int) -> None:
    global _last_ms, _start  # noqa: PLW0603 - the one place that counts
    _last_ms = time_ms
    digits = f"{time_ms:012x}"
    _start = f"{digits[:8]}-{digits[8:]}-7"


def _new_ends() -> Iterator[str]:
    digits = os.urandom(8 * IDS_IN_A_MILLISECOND).hex()
    for count in reversed(range(IDS_IN_A_MILLISECOND)):
        rest = digits[16 * count : 16 * count + 16]
        yield f"{count:03x}-8{rest[1:4]}-{rest[4:]}"  # 8: the variant; 60 bits are random


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
    _ends.clear()


os.register_at_fork(after_in_child=_forget)
