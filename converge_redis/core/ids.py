"""Ids: UUIDv7 for what users see, short random ones for calls."""

import base64
import os
import threading
import time
from collections.abc import Iterator

_lock = threading.RLock()  # a signal handler may call in while an id is made
_last_ms = 0
_prefix = ""
_suffixes: list[str] = []
"""The parts of ids after the time, the next one last; made one by one they would cost as much as the id."""

_random: list[str] = []
"""Random text for the ids of calls."""

RANDOM_BATCH = 256
IDS_PER_MILLISECOND = 1024


def uuid7() -> str:
    """Return a new UUID of version 7 as text; those of one process are in ascending order.

    The 12 bits after the time in milliseconds are a counter. When the counter restarts, or the clock was set
    back, the time part is incremented instead (RFC 9562, section 6.2, method 1).
    """
    now_ms = time.time_ns() // 1_000_000
    with _lock:
        if now_ms > _last_ms:
            _set_time(now_ms)
        try:
            return _prefix + _suffixes.pop()
        except IndexError:
            _suffixes.extend(_new_suffixes())
            _set_time(max(now_ms, _last_ms + 1))
            return _prefix + _suffixes.pop()


def _set_time(time_ms: int) -> None:
    global _last_ms, _prefix  # noqa: PLW0603 - the state of the generator
    _last_ms = time_ms
    digits = f"{time_ms:012x}"
    _prefix = f"{digits[:8]}-{digits[8:]}-7"


def _new_suffixes() -> Iterator[str]:
    digits = os.urandom(8 * IDS_PER_MILLISECOND).hex()
    for count in reversed(range(IDS_PER_MILLISECOND)):
        rest = digits[16 * count : 16 * count + 16]
        yield f"{count:03x}-8{rest[1:4]}-{rest[4:]}"  # 8: the variant; 60 bits are random


def call_id() -> str:
    """Return the id of one call, by which a script recognises a repeat: 11 characters, 64 random bits."""
    with _lock:
        rest = _random.pop() if _random else _more_random()
    return base64.urlsafe_b64encode(bytes.fromhex(rest))[:11].decode()


def _more_random() -> str:
    """Return 64 random bits in hexadecimal, and keep more; the caller holds the lock."""
    digits = os.urandom(8 * RANDOM_BATCH).hex()
    _random.extend(digits[start : start + 16] for start in range(0, len(digits), 16))
    return _random.pop()


def _reset_after_fork() -> None:
    """Give a forked child its own ids, and its own lock: another thread of the parent may have held it."""
    global _lock  # noqa: PLW0603 - see above
    _lock = threading.RLock()
    _random.clear()
    _suffixes.clear()


os.register_at_fork(after_in_child=_reset_after_fork)
