"""What a delegation is."""

from dataclasses import dataclass
from enum import StrEnum


class DelegationType(StrEnum):
    """To whom authority is delegated."""

    DIRECT = "direct"
    POOLED = "pooled"


@dataclass(frozen=True, slots=True)
class Delegation:
    """A snapshot of one delegation.

    Attributes:
        id: Its id.
        delegator_id: The agent that has delegated.
        delegatee_id: The agent, or the pool, that it has delegated to.
        scope: What the delegatee may do, in the order of the names.
        type: Whether the delegatee is an agent or a pool.
        parent_id: The delegation that this one hands on; None: it hands on own authority.
        depth: How many delegations are above it.
        max_depth: How many levels of delegations may be below it; None: no limit of its own.
        created_at: When it was made, in seconds since 1970, server time.
        expires_at: When it ends, server time; None: it does not.
        revoked_at: When it was revoked itself, server time; None: it was not.
        revoked_by: Who has revoked it, where that was said.
        is_active: Whether it counted when it was read: neither it nor any above it was revoked or had
            expired, and each delegator still held what it had handed on.
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
