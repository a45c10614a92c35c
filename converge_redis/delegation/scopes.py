"""Scopes of delegations, as the scripts read them."""

from collections.abc import Iterable

from converge_redis.core.keys import encoded
from converge_redis.core.validation import check_ids
from converge_redis.errors import InvalidValueError

MOST_PARTS = 1000


def scope_of(field: str, scope: str | Iterable[str]) -> str:
    """Return a scope as the scripts read it: each part encoded, once, between commas."""
    names = check_ids(field, [scope] if isinstance(scope, str) else scope)
    if not names:
        raise InvalidValueError(f"{field} must name something")
    if len(names) > MOST_PARTS:
        raise InvalidValueError(f"{field} must have at most {MOST_PARTS} names, not {len(names)}")
    return "," + ",".join(sorted({encoded(name) for name in names})) + ","
