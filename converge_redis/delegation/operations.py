"""Verbs about who may act for whom."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from converge_redis.core.ids import call_id, uuid7
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_choice, check_id, check_integer, check_seconds
from converge_redis.delegation.model import Delegation, DelegationType
from converge_redis.delegation.scopes import scope_of
from converge_redis.errors import DelegationRefusedError, InvalidValueError, NotAuthorizedError
from converge_redis.pools.operations import get_pools_for_agent

_DELEGATE = Script("delegation/delegate")
_REVOKE = Script("delegation/revoke")
_IS_AUTHORIZED = Script("delegation/is_authorized")
_GET_DELEGATIONS = Script("delegation/get_delegations")

LOOKED_AT = 200
"""Delegations in one script."""

MOST_DEPTH = 32


def delegate(
    space: Namespace,
    delegator_id: str,
    delegatee_id: str,
    scope: str | Iterable[str] | None = None,
    *,
    delegation_type: str = DelegationType.DIRECT,
    parent: str | None = None,
    expires_in: float | None = None,
    max_depth: int | None = None,
) -> Operation[str]:
    """Let another agent, or all members of a pool, act for an agent.

    With a parent, what the delegator holds by that delegation is handed on, and never widened: the scope is a
    part of the parent's, the time lies inside the parent's; what is left out is inherited.

    Args:
        delegator_id: The agent that delegates.
        delegatee_id: The agent, or the pool, that may act.
        scope: What it may do: one name, or several; None: all of the parent's.
        delegation_type: ``"direct"``: `delegatee_id` is an agent; ``"pooled"``: it is a pool, and whoever is
            a member when it is asked may act.
        parent: The id of the delegation that is handed on; None: the delegator hands on its own authority.
        expires_in: Seconds until the delegation ends; None: when the parent ends.
        max_depth: How many levels of delegations may be below this one; 0: it cannot be handed on. None: as
            many as the parent allows. There are never more than 32.

    Returns:
        The id of the delegation.

    Raises:
        DelegationRefusedError: It would widen what the parent gives, the delegator does not hold the parent,
            a link above is revoked or has expired, or the delegatee is among those who have handed it on.
        InvalidTypeError, InvalidValueError: An argument is malformed.
    """
    check_id("delegator_id", delegator_id)
    check_id("delegatee_id", delegatee_id)
    kind = check_choice("delegation_type", delegation_type, DelegationType)
    if kind == DelegationType.DIRECT and delegator_id == delegatee_id:
        raise InvalidValueError(f"delegatee_id must be another agent than delegator_id, not {delegatee_id!r}")
    if scope is None and parent is None:
        raise InvalidValueError("scope must be given where there is no parent to take it from")
    delegation_id = uuid7()
    arguments: tuple[Argument, ...] = (
        delegation_id,
        delegator_id,
        delegatee_id,
        kind,
        "" if scope is None else scope_of("scope", scope),
        "" if parent is None else check_id("parent", parent),
        "" if expires_in is None else round(check_seconds("expires_in", expires_in) * 1e6),
        "" if max_depth is None else check_integer("max_depth", max_depth, 0, MOST_DEPTH),
    )

    def read(reply: Sequence[bytes]) -> str:
        if reply[0] == b"DELEGATED":
            return delegation_id
        reason, about = reply[1].decode(), reply[2].decode()
        raise DelegationRefusedError(
            f"agent {delegator_id!r} cannot delegate to {delegatee_id!r}: {_REFUSALS[reason].format(about)}",
            reason,
        )

    return Operation(_DELEGATE, space.keys.delegations, arguments, read)


_REFUSALS = {
    "unknown": "there is no delegation {!r} any more",
    "not_holder": "it does not hold the delegation {!r}",
    "revoked": "the delegation {!r} above it was revoked",
    "expired": "the delegation {!r} above it has expired",
    "gone": "the delegation {!r} above it has expired",
    "left": "the one who handed on the delegation {!r} is not in its pool any more",
    "depth": "the delegation {!r} allows no more levels below it, or fewer than max_depth asks for",
    "scope": "scope holds more than the delegation {!r} gives",
    "time": "expires_in ends after the delegation {!r} does",
    "cycle": "agent {!r} is among those who have handed it on",
}


def revoke(space: Namespace, delegation_id: str, agent_id: str | None = None) -> Operation[bool]:
    """End a delegation; all that were handed on from it end with it.

    Args:
        delegation_id: The delegation.
        agent_id: Who revokes it: the agent that has issued it, or one above it in the chain; None: not said,
            nor checked.

    Returns:
        True; False when it was revoked before, has expired, or is unknown.

    Raises:
        NotAuthorizedError: The agent has issued neither it nor any above it.
    """
    check_id("delegation_id", delegation_id)
    by = "" if agent_id is None else check_id("agent_id", agent_id)

    def read(reply: Sequence[bytes]) -> bool:
        if reply[0] == b"NOT_ISSUER":
            raise NotAuthorizedError(
                f"agent {agent_id!r} is not authorized to revoke delegation {delegation_id!r}: it has issued "
                "neither it nor any above it"
            )
        return reply[0] == b"REVOKED"

    return Operation(_REVOKE, space.keys.delegations, (call_id(), delegation_id, by), read)


def is_authorized(space: Namespace, agent_id: str, scope: str | Iterable[str]) -> Steps[bool]:
    """Tell whether an agent may do something by a delegation that it holds, itself or as a member of a pool.

    Every link of the chain is checked: neither revoked nor expired, and each delegator still holds what it
    has handed on.

    Args:
        agent_id: The agent.
        scope: What it wants to do: one name, or several; one delegation has to cover all of them.

    Returns:
        Whether there is such a delegation.
    """
    check_id("agent_id", agent_id)
    wanted = scope_of("scope", scope)
    if (yield from _is_covered(space, agent_id, wanted, "")):
        return True
    for pool_id in (yield from get_pools_for_agent(space, agent_id)):
        if (yield from _is_covered(space, agent_id, wanted, pool_id)):
            return True
    return False


def _is_covered(space: Namespace, agent_id: str, wanted: str, pool_id: str) -> Steps[bool]:
    word, after = b"MORE", b"-inf"
    while word == b"MORE":
        arguments = (agent_id, wanted, pool_id, after, LOOKED_AT)
        word, *rest = yield from ask(Operation(_IS_AUTHORIZED, space.keys.delegations, arguments, tuple))
        after = rest[0] if rest else b""
    return bool(word == b"YES")


def get_delegation(space: Namespace, delegation_id: str) -> Operation[Delegation | None]:
    """Read a delegation.

    Args:
        delegation_id: The delegation.

    Returns:
        A snapshot; None when it is unknown. One that has ended is known for a day.
    """
    check_id("delegation_id", delegation_id)
    return Operation(
        _GET_DELEGATIONS,
        space.keys.delegations,
        ("one", delegation_id, "-inf", 1),
        lambda reply: _read_delegation(reply[2]) if len(reply) > 2 else None,
    )


def delegations_of(space: Namespace, agent_id: str) -> Steps[list[Delegation]]:
    """List the delegations that an agent has issued.

    Args:
        agent_id: The agent.

    Returns:
        Snapshots, in the order of issue; those that have ended are among them for a day.
    """
    return _list(space, "given", check_id("agent_id", agent_id))


def delegations_to(space: Namespace, agent_id: str) -> Steps[list[Delegation]]:
    """List the delegations that an agent holds, itself or as a member of a pool.

    Args:
        agent_id: The agent.

    Returns:
        Snapshots, in the order of issue; those that have ended are among them for a day.
    """
    found = yield from _list(space, "held", check_id("agent_id", agent_id))
    for pool_id in (yield from get_pools_for_agent(space, agent_id)):
        found += yield from _list(space, "pooled", pool_id)
    return sorted(found, key=lambda delegation: (delegation.created_at, delegation.id))


def _list(space: Namespace, what: str, holder_id: str) -> Steps[list[Delegation]]:
    found: list[Delegation] = []
    word, after = b"MORE", b"-inf"
    while word == b"MORE":
        arguments = (what, holder_id, after, LOOKED_AT)
        word, after, *rows = yield from ask(
            Operation(_GET_DELEGATIONS, space.keys.delegations, arguments, tuple)
        )
        found += [_read_delegation(row) for row in rows]
    return found


def _read_delegation(row: Sequence[Any]) -> Delegation:
    (id_, from_, to, kind, scope, parent, depth, left, created, expires, revoked, revoker, counts) = (
        str(part) if isinstance(part, int) else part.decode() for part in row
    )
    return Delegation(
        id=id_,
        delegator_id=from_,
        delegatee_id=to,
        scope=tuple(sorted(unquote(part) for part in scope.strip(",").split(","))),
        type=DelegationType(kind),
        parent_id=parent or None,
        depth=int(depth),
        max_depth=int(left) if left else None,
        created_at=int(created) / 1e6,
        expires_at=int(expires) / 1e6 if expires else None,
        revoked_at=int(revoked) / 1e6 if revoked else None,
        revoked_by=revoker or None,
        is_active=counts == "1",
    )
