"""What the verbs of all sessions have in common: how a refusal is told, and a space with something more."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from converge_redis.errors import ActRefusedError

REASONS = {
    "unknown": "there is no such session, or no more",
    "late": "it is over",
    "not_participant": "the agent does not take part in it",
}

LEAST_RETENTION = 60.0
"""Seconds that a session is kept at least when it is over: those who wait for its end have to read it."""


def microseconds(seconds: float | None) -> int | str:
    """Return a duration as scripts take it; "": none."""
    return "" if seconds is None else round(seconds * 1e6)


def done(about: str, reasons: Mapping[str, str], strict: bool) -> Callable[[Sequence[Any]], bool]:
    """Return how to read the reply to an act: True, or False when the rules do not allow it.

    Args:
        about: What was tried, for the message.
        reasons: What the words of refusal mean, besides `REASONS`.
        strict: Whether a refusal is an `ActRefusedError`.
    """

    def read(reply: Sequence[Any]) -> bool:
        if reply[0] == b"DONE":
            return True
        reason = reply[1].decode()
        if strict:
            raise ActRefusedError(f"{about} was refused: { {**REASONS, **reasons}[reason] }", reason)
        return False

    return read


def fields_of(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Return the fields of a session from a flat list of names and values."""
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def time_of(fields: Mapping[str, bytes], name: str) -> float | None:
    """Return a time among the fields, in seconds since 1970."""
    return int(fields[name]) / 1e6 if name in fields else None


def text_of(fields: Mapping[str, bytes], name: str) -> str | None:
    """Return a text among the fields."""
    return fields[name].decode() if name in fields else None
