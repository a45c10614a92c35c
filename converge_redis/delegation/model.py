"""Delegations: the snapshot of one, and the encoding of scopes."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from converge_redis.core.keys import encode_part
from converge_redis.core.validation import validate_ids
from converge_redis.errors import InvalidValueError

MAX_SCOPE_NAMES = 1000


class DelegationType(StrEnum):
    """The kind of delegatee."""

    DIRECT = "direct"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True)
class Delegation:
    """A snapshot of one delegation.

    Attributes:
        id: The id.
        delegator_id: The agent that delegated.
        delegatee_id: The agent, or the pool, that may act.
        scope: What the delegatee may do, sorted by name.
        type: Whether the delegatee is an agent or a pool.
        parent_id: The delegation that this one passes on; None: the delegator's own authority.
        depth: The number of delegations above it.
        max_depth: How many levels of delegations may follow below it; None: no limit of its own.
        created_at: When it was made (server time, Unix seconds).
        expires_at: When it ends (server time, Unix seconds); None: it does not.
        revoked_at: When it was itself revoked (server time, Unix seconds); None: it was not.
        revoked_by: The agent that revoked it, where it was given.
        is_active: Whether it was valid when it was read: neither it nor any above it was revoked or had
            expired, and each delegator still held what it passed on.
    """

    id: str
    delegator_id: str
    delegatee_id: str
    scope: tuple[str, ...]
    type: DelegationType
    parent_id: str | None
    depth: int
    max_depth: int | None
    created_at: float
    expires_at: float | None
    revoked_at: float | None
    revoked_by: str | None
    is_active: bool


def encode_scope(field: str, scope: str | Iterable[str]) -> str:
    """Encode a scope for scripts: its names, each once, percent-encoded and between commas."""
    names = validate_ids(field, [scope] if isinstance(scope, str) else scope)
    if not names:
        raise InvalidValueError(f"{field} must name something")
    if len(names) > MAX_SCOPE_NAMES:
        raise InvalidValueError(f"{field} must have at most {MAX_SCOPE_NAMES} names, not {len(names)}")
    return "," + ",".join(sorted({encode_part(name) for name in names})) + ","
