"""Session replies: decode an accepted action, a refusal with its reason, or the fields of a session."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from converge_redis.errors import ActRefusedError

REFUSALS = {
    "unknown": "it does not exist, or was deleted after its retention",
    "late": "it is over",
    "not_participant": "the agent is not a participant",
}

MIN_RETENTION = 60.0
"""Seconds that a session is kept after its end at least: waiters must be able to read the outcome."""


def accepted(
    action: str, refusals: Mapping[str, str], strict: bool, agent_id: str | None = None
) -> Callable[[Sequence[Any]], bool]:
    """Return the decoder of the reply to an action: True, or False when the rules do not allow it.

    Args:
        action: The attempted action, for the message.
        refusals: The texts of the reasons that the script may return, besides `REFUSALS`.
        strict: Whether a refusal raises `ActRefusedError`.
        agent_id: The agent that acts, for the error.
    """

    def decode(reply: Sequence[Any]) -> bool:
        if reply[0] == b"DONE":
            return True
        reason = reply[1].decode()
        if strict:
            raise refusal(action, refusals, reason, agent_id)
        return False

    return decode


def refusal(
    action: str, refusals: Mapping[str, str], reason: str, agent_id: str | None = None
) -> ActRefusedError:
    """Return the error for an action that the rules do not allow."""
    text = {**REFUSALS, **refusals}[reason]
    return ActRefusedError(f"{action} was refused: {text}", reason, agent_id)


def decode_fields(flat: Sequence[bytes]) -> dict[str, bytes]:
    """Return the fields of a session from a flat list of names and values."""
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}


def decode_time(fields: Mapping[str, bytes], name: str) -> float | None:
    """Return a field as Unix seconds; None where it is missing."""
    return int(fields[name]) / 1e6 if name in fields else None


def decode_text(fields: Mapping[str, bytes], name: str) -> str | None:
    """Return a field as text; None where it is missing."""
    return fields[name].decode() if name in fields else None
