"""The constraints that are interpreted: validated at submit, and encoded into the record of the task."""

import datetime
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from converge_redis.core.durations import microseconds
from converge_redis.core.namespace import DEFAULT_RETENTION_SEC
from converge_redis.core.validation import short_repr, validate_integer, validate_seconds
from converge_redis.errors import InvalidTypeError, InvalidValueError

_DURATIONS = {"claim_ttl_sec": "ttl", "timeout_sec": "timeout", "retention_sec": "retention"}
_LAST_SECOND = 9_000_000_000.0  # in 2255, up to which microseconds are exact as doubles


class Rules(NamedTuple):
    """The interpreted constraints of a task, in microseconds, as its record holds them.

    Attributes:
        ttl: The lease; ``""``: none.
        options: The others, as ``name=value|…`` (``tasks/lua/shared/record.lua``).
        deadline: The deadline again, which has an index of its own; ``""``: none.
    """

    ttl: int | str
    options: str
    deadline: int | str


@lru_cache(maxsize=64)
def default_rules(claim_ttl_sec: float | None, retention_sec: float) -> Rules:
    """Return the rules of a task without constraints; see `rules_of`."""
    return rules_of({}, claim_ttl_sec, retention_sec)


def rules_of(constraints: Mapping[str, Any], claim_ttl_sec: float | None, retention_sec: float) -> Rules:
    """Validate and encode the interpreted constraints of a task.

    Args:
        constraints: The task's constraints.
        claim_ttl_sec: The lease of a task that sets none, in seconds; None: its claims do not expire.
        retention_sec: How long a finished task that does not set it is kept, in seconds.

    Raises:
        InvalidTypeError, InvalidValueError: A constraint is malformed.
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
            fields[field] = microseconds(validate_seconds(f"task.constraints[{name!r}]", value, zero=zero))
    retries = constraints.get("max_retries")
    if retries is not None:
        fields["retries"] = validate_integer("task.constraints['max_retries']", retries, 0, 1_000_000)
    deadline = constraints.get("deadline")
    if deadline is not None:
        fields["deadline"] = round(_unix_seconds(deadline) * 1e6)
    ttl = fields.pop("ttl", "")
    options = "".join(f"{name}={value}|" for name, value in fields.items())
    return Rules(ttl, options, fields.get("deadline", ""))


def _unix_seconds(deadline: Any) -> float:
    """Return a deadline as Unix seconds; text must be ISO 8601, and text and datetimes need a time zone."""
    field = "task.constraints['deadline']"
    moment = deadline
    if isinstance(moment, str):
        try:
            moment = datetime.datetime.fromisoformat(moment)
        except ValueError as error:
            raise InvalidValueError(
                f"{field} must be ISO 8601 or Unix seconds, not {short_repr(deadline)}"
            ) from error
    if isinstance(moment, datetime.datetime):
        if moment.tzinfo is None:
            raise InvalidValueError(
                f"{field} needs a time zone, such as a final Z or +00:00: {short_repr(deadline)}"
            )
        moment = moment.timestamp()
    if isinstance(moment, bool) or not isinstance(moment, int | float):
        raise InvalidTypeError(f"{field} must be ISO 8601 or Unix seconds, not {short_repr(deadline)}")
    if not math.isfinite(moment) or not 0 <= moment <= _LAST_SECOND:
        raise InvalidValueError(f"{field} must be from 0 to {_LAST_SECOND:.0f}, not {short_repr(deadline)}")
    return float(moment)
