"""Pauses between retries and rounds, spread at random so that many processes do not act at the same time."""

import random

MAX_BACKOFF = 2.0
"""The longest pause before something is tried again, in seconds, before it is spread."""


def jittered(seconds: float, spread: float = 0.5) -> float:
    """Return a duration multiplied by a random factor from ``1 - spread`` to ``1 + spread``."""
    return seconds * random.uniform(1 - spread, 1 + spread)  # noqa: S311 - spreads load, guards nothing


def doubled(seconds: float, first: float = 0.02, longest: float = MAX_BACKOFF) -> float:
    """Return the pause that follows one of `seconds`: twice as long, from `first` to `longest`."""
    return min(longest, seconds * 2 or first)
