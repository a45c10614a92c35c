"""Durations: seconds in the interface, whole microseconds in scripts."""

from typing import Literal


def microseconds(seconds: float) -> int:
    """Return seconds as whole microseconds, at least one for what is above zero."""
    return max(1, round(seconds * 1e6)) if seconds > 0 else 0


def optional_microseconds(seconds: float | None) -> int | Literal[""]:
    """Return seconds as scripts take a duration that may be missing: ``""`` for None."""
    return "" if seconds is None else microseconds(seconds)


def optional_seconds(reply: bytes) -> float | None:
    """Read microseconds in a reply as seconds; None for an empty one."""
    return int(reply) / 1e6 if reply else None
