"""Validation of arguments: each error names the field and the value, before anything is sent."""

import math
import reprlib
from collections.abc import Iterable
from typing import Any

from converge_redis.errors import InvalidTypeError, InvalidValueError

MAX_ID_BYTES = 512
"""The most bytes of UTF-8 of an id, pool id, topic or capability: they become parts of keys."""

MAX_PRIORITY = 2**53
"""Sorted-set scores are IEEE doubles: integers are exact up to here."""

MAX_SECONDS = 10 * 365 * 86400.0
"""Ten years: a longer duration is a mistake, and server times in microseconds stay exact as doubles."""


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlevel = 3


def short_repr(value: object) -> str:
    """Return ``repr(value)``, cut to fit in a message, however large, deep or broken the value is."""
    return _SHORT.repr(value)


def validate_id(field: str, value: Any) -> str:
    """Validate an id: a non-empty string that UTF-8 can encode, of at most `MAX_ID_BYTES` bytes.

    Args:
        field: The name of the field, for the error.
        value: The id. Any character is allowed: keys are encoded so that no id can forge another.

    Returns:
        The value.

    Raises:
        InvalidTypeError: It is not a string.
        InvalidValueError: It is empty, too long, or holds a lone surrogate.
    """
    if not isinstance(value, str):
        raise InvalidTypeError(f"{field} must be a string, not {type(value).__name__} {short_repr(value)}")
    if not value:
        raise InvalidValueError(f"{field} must not be empty")
    if len(value) * 4 > MAX_ID_BYTES or not value.isascii():
        try:
            size = len(value.encode())
        except UnicodeEncodeError as error:
            raise InvalidValueError(f"{field} is not valid Unicode text: {short_repr(value)}") from error
        if size > MAX_ID_BYTES:
            raise InvalidValueError(
                f"{field} takes {size} bytes, the limit is {MAX_ID_BYTES}: {short_repr(value)}"
            )
    return value


def validate_ids(field: str, values: Any) -> tuple[str, ...]:
    """Validate a list, tuple or set of ids; see `validate_id`. A single string is rejected: a likely slip."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InvalidTypeError(f"{field} must be a list of strings, not {short_repr(values)}")
    return tuple(validate_id(f"{field}[{index}]", value) for index, value in enumerate(values))


def validate_integer(field: str, value: Any, low: int, high: int) -> int:
    """Validate an integer in ``low..high``; booleans and floats are refused."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidTypeError(f"{field} must be an integer, not {type(value).__name__} {short_repr(value)}")
    if not low <= value <= high:
        raise InvalidValueError(f"{field} must be from {low} to {high}, not {short_repr(value)}")
    return value


def validate_seconds(field: str, value: Any, *, zero: bool = False) -> float:
    """Validate a duration in seconds: finite, positive (or zero, where allowed), at most ten years."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(
            f"{field} must be a number of seconds, not {type(value).__name__} {short_repr(value)}"
        )
    if not math.isfinite(value) or value > MAX_SECONDS or value < 0 or (value == 0 and not zero):
        least = "from 0" if zero else "above 0"
        raise InvalidValueError(
            f"{field} must be {least} to {MAX_SECONDS:.0f} seconds, not {short_repr(value)}"
        )
    return float(value)


def validate_choice(field: str, value: Any, choices: Iterable[str]) -> str:
    """Validate that a value is one of a few words."""
    allowed = tuple(choices)
    if value not in allowed:
        raise InvalidValueError(f"{field} must be one of {', '.join(allowed)}, not {short_repr(value)}")
    return str(value)
