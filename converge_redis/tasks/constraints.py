"""The constraints of a task that count, checked at submit and turned into a part of its record."""

import datetime
import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from converge_redis.core.validation import check_integer, check_seconds, shown
from converge_redis.errors import InvalidTypeError, InvalidValueError

DEFAULT_RETENTION_SEC = 86400.0
"""How long a finished task is kept; the same number stands in ``tasks/lua/shared/transitions.lua``."""

_DURATIONS = {"claim_ttl_sec": "ttl", "timeout_sec": "timeout", "retention_sec": "retention"}
_LAST_SECOND = 9_000_000_000.0  # in 2255, up to which microseconds are exact as doubles


def microseconds(seconds: float) -> int:
    """Return seconds as whole microseconds, at least one for what is above zero."""
    return max(1, round(seconds * 1e6)) if seconds > 0 else 0


class Rules(NamedTuple):
    """What counts of a task's constraints, in microseconds, as its record has it (``tasks/lua/shared/record.lua``).

    Attributes:
        ttl: The lease; "": none.
        named: The other fields, as ``name=value|…``.
        deadline: The deadline again, which has an index of its own; "": none.
    """

    ttl: int | str
    named: str
    deadline: int | str


def rules_of(constraints: Mapping[str, Any], claim_ttl_sec: float | None, retention_sec: float) -> Rules:
    """Return what counts of a task's constraints; names that do not count are left alone.

    Args:
        constraints: The task's constraints.
        claim_ttl_sec: The lease of a task that sets none, in seconds; None: its claims do not expire.
        retention_sec: How long a task that does not say is kept once finished, in seconds.

    Raises:
        InvalidTypeError, InvalidValueError: A constraint that counts is malformed.
    """
    fields: dict[str, int] = {}
    if claim_ttl_sec is not None:
        fields["ttl"] = microseconds(claim_ttl_sec)
    if retention_sec != DEFAULT_RETENTION_SEC:
        fields["retention"] = microseconds(retention_sec)
    for name, field in _DURATIONS.items():
        value = constraints.get(name)
        if value is not None:
            zero = name == "retention_sec"
            fields[field] = microseconds(check_seconds(f"task.constraints[{name!r}]", value, zero=zero))
    retries = constraints.get("max_retries")
    if retries is not None:
        fields["retries"] = check_integer("task.constraints['max_retries']", retries, 0, 1_000_000)
    deadline = constraints.get("deadline")
    if deadline is not None:
        fields["deadline"] = round(_unix_seconds(deadline) * 1e6)
    ttl = fields.pop("ttl", "")
    named = "".join(f"{name}={value}|" for name, value in fields.items())
    return Rules(ttl, named, fields.get("deadline", ""))


def _unix_seconds(deadline: Any) -> float:
    """Read a deadline: Unix seconds, ISO 8601 text or a datetime, the last two with a time zone."""
    field = "task.constraints['deadline']"
    moment = deadline
    if isinstance(moment, str):
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError as error:
            raise InvalidValueError(
                f"{field} must be ISO 8601 or Unix seconds, not {shown(deadline)}"
            ) from error
    if isinstance(moment, datetime.datetime):
        if moment.tzinfo is None:
            raise InvalidValueError(
                f"{field} needs a time zone, such as a final Z or +00:00: {shown(deadline)}"
            )
        moment = moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise InvalidTypeError(f"{field} must be ISO 8601 or Unix seconds, not {shown(deadline)}")
    if not math.isfinite(moment) or not 0 <= moment <= _LAST_SECOND:
        raise InvalidValueError(f"{field} must be from 0 to {_LAST_SECOND:.0f}, not {shown(deadline)}")
    return float(moment)
