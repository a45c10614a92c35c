"""Delegating: delegate, revoke, is_authorized, get_delegation, list_delegations."""

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from converge_redis.core.durations import optional_microseconds
from converge_redis.core.ids import call_id, uuid7
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_choice, validate_id, validate_integer, validate_seconds
from converge_redis.delegation.model import Delegation, DelegationType, encode_scope
from converge_redis.errors import DelegationRefusedError, InvalidValueError, NotAuthorizedError
from converge_redis.pools.admission import PoolContext
from converge_redis.pools.operations import get_pools_for_agent

_DELEGATE = Script("delegation/delegate")
_REVOKE = Script("delegation/revoke")
_IS_AUTHORIZED = Script("delegation/is_authorized")
_GET_DELEGATIONS = Script("delegation/get_delegations")

DELEGATIONS_PER_SCRIPT = 200
MAX_DEPTH = 32
NO_LIMIT = 2**53


def delegate(
    namespace: Namespace,
    delegator_id: str,
    delegatee_id: str,
    scope: str | Iterable[str] | None = None,
    *,
    delegation_type: str = DelegationType.DIRECT,
    parent: str | None = None,
    expires_in_sec: float | None = None,
    max_depth: int | None = None,
) -> Operation[str]:
    """Let another agent, or all members of a pool, act for an agent.

    With a parent, the delegator passes on what it holds by that delegation, and never more: the scope must be
    within the parent's scope, and the time within the parent's time. What is left out is inherited.

    Args:
        delegator_id: The agent that delegates.
        delegatee_id: The agent, or the pool, that may act.
        scope: What the delegatee may do: one name, or several; None: the parent's scope.
        delegation_type: ``"direct"``: `delegatee_id` is an agent; ``"pooled"``: it is a pool, whose members
            at the time of a check may act.
        parent: The id of the delegation that is passed on; None: the delegator delegates its own authority.
        expires_in_sec: Seconds until the delegation ends; None: when the parent ends.
        max_depth: How many levels of delegations may follow below this one; 0: it cannot be passed on. None:
            as many as the parent allows, at most 32.

    Returns:
        The id of the delegation.

    Raises:
        DelegationRefusedError: It would give more than the parent gives, the delegator does not hold the
            parent, a delegation above was revoked or has expired, or the delegatee is one of the delegators
            above.
        InvalidTypeError, InvalidValueError: An argument is malformed.
    """
    validate_id("delegator_id", delegator_id)
    validate_id("delegatee_id", delegatee_id)
    kind = validate_choice("delegation_type", delegation_type, DelegationType)
    if kind == DelegationType.DIRECT and delegator_id == delegatee_id:
        raise InvalidValueError(f"delegatee_id must be another agent than delegator_id, not {delegatee_id!r}")
    if scope is None and parent is None:
        raise InvalidValueError("scope must be given where there is no parent to inherit it from")
    delegation_id = uuid7()
    arguments: tuple[Argument, ...] = (
        delegation_id,
        delegator_id,
        delegatee_id,
        kind,
        "" if scope is None else encode_scope("scope", scope),
        "" if parent is None else validate_id("parent", parent),
        optional_microseconds(
            None if expires_in_sec is None else validate_seconds("expires_in_sec", expires_in_sec)
        ),
        "" if max_depth is None else validate_integer("max_depth", max_depth, 0, MAX_DEPTH),
    )

    def decode(reply: Sequence[bytes]) -> str:
        if reply[0] == b"DELEGATED":
            return delegation_id
        reason, subject = reply[1].decode(), reply[2].decode()
        raise DelegationRefusedError(
            f"agent {delegator_id!r} cannot delegate to {delegatee_id!r}: "
            f"{_REFUSALS[reason].format(subject)}",
            reason,
            delegator_id,
        )

    return Operation(_DELEGATE, namespace.keys.delegations, arguments, decode)


_REFUSALS = {
    "unknown": "delegation {!r} does not exist, or ended long ago",
    "not_holder": "it does not hold delegation {!r}",
    "revoked": "delegation {!r} above it was revoked",
    "expired": "delegation {!r} above it has expired",
    "gone": "delegation {!r} above it has expired",
    "left": "the delegator of delegation {!r} has left the pool",
    "depth": "delegation {!r} allows no further levels below it, or fewer than max_depth",
    "scope": "scope holds more than delegation {!r} gives",
    "time": "expires_in_sec is later than the end of delegation {!r}",
    "cycle": "agent {!r} is one of the delegators above it",
}


def revoke(namespace: Namespace, delegation_id: str, *, by: str | None = None) -> Operation[bool]:
    """End a delegation, and with it all delegations below it.

    Args:
        delegation_id: The delegation.
        by: The agent that revokes it, which must be the delegator, or one above it in the chain; None: not
            checked.

    Returns:
        True; False when it was revoked before, has expired, or is unknown.

    Raises:
        NotAuthorizedError: The agent is neither the delegator nor one above it.
    """
    validate_id("delegation_id", delegation_id)
    agent_id = "" if by is None else validate_id("by", by)

    def decode(reply: Sequence[bytes]) -> bool:
        if reply[0] == b"NOT_ISSUER":
            raise NotAuthorizedError(
                f"agent {by!r} is not authorized to revoke delegation {delegation_id!r}: it is neither its "
                "delegator nor one above it",
                "not_issuer",
                by,
            )
        return reply[0] == b"REVOKED"

    return Operation(_REVOKE, namespace.keys.delegations, (call_id(), delegation_id, agent_id), decode)


def is_authorized(namespace: Namespace, agent_id: str, scope: str | Iterable[str]) -> Procedure[bool]:
    """Return whether a delegation that an agent holds, itself or as a member of a pool, covers a scope.

    Every delegation of the chain is checked: it is neither revoked nor expired, and its delegator still holds
    what it passed on.

    Args:
        agent_id: The agent.
        scope: What it wants to do: one name, or several; one delegation must cover all of them.

    Returns:
        Whether there is such a delegation.
    """
    validate_id("agent_id", agent_id)
    wanted = encode_scope("scope", scope)
    if (yield from _is_covered(namespace, agent_id, wanted, "")):
        return True
    for pool_id in (yield from get_pools_for_agent(PoolContext(namespace), agent_id)):
        if (yield from _is_covered(namespace, agent_id, wanted, pool_id)):
            return True
    return False


def _is_covered(namespace: Namespace, agent_id: str, wanted: str, pool_id: str) -> Procedure[bool]:
    word, after = b"MORE", b"-inf"
    while word == b"MORE":
        arguments = (agent_id, wanted, pool_id, after, DELEGATIONS_PER_SCRIPT)
        word, *rest = yield from send(Operation(_IS_AUTHORIZED, namespace.keys.delegations, arguments, tuple))
        after = rest[0] if rest else b""
    return bool(word == b"YES")


def get_delegation(namespace: Namespace, delegation_id: str) -> Operation[Delegation | None]:
    """Read a delegation.

    Args:
        delegation_id: The delegation.

    Returns:
        A snapshot; None when it is unknown. It is kept for a day after its end.
    """
    validate_id("delegation_id", delegation_id)
    return Operation(
        _GET_DELEGATIONS,
        namespace.keys.delegations,
        ("one", delegation_id, "-inf", 1),
        lambda reply: _decode_delegation(reply[2]) if len(reply) > 2 else None,
    )


def list_delegations(
    namespace: Namespace,
    *,
    delegator_id: str | None = None,
    delegatee_id: str | None = None,
    limit: int | None = None,
) -> Procedure[list[Delegation]]:
    """List the delegations of a delegator, of a delegatee, or between the two.

    Args:
        delegator_id: The agent that delegated.
        delegatee_id: The agent that holds them, itself or as a member of a pool.
        limit: The most delegations to list; None: all.

    Returns:
        Snapshots, in the order of issue; delegations are listed for a day after their end.

    Raises:
        InvalidValueError: Neither agent is given.
    """
    max_delegations = NO_LIMIT if limit is None else validate_integer("limit", limit, 1, NO_LIMIT)
    if delegatee_id is not None:
        found = yield from _list(namespace, "held", validate_id("delegatee_id", delegatee_id))
        for pool_id in (yield from get_pools_for_agent(PoolContext(namespace), delegatee_id)):
            found += yield from _list(namespace, "pooled", pool_id)
        if delegator_id is not None:
            validate_id("delegator_id", delegator_id)
            found = [delegation for delegation in found if delegation.delegator_id == delegator_id]
        found.sort(key=lambda delegation: (delegation.created_at, delegation.id))
        return found[:max_delegations]
    if delegator_id is None:
        raise InvalidValueError("delegator_id or delegatee_id must be given")
    return (yield from _list(namespace, "given", validate_id("delegator_id", delegator_id), max_delegations))


def _list(
    namespace: Namespace, index: str, holder_id: str, limit: int = NO_LIMIT
) -> Procedure[list[Delegation]]:
    found: list[Delegation] = []
    word, after = b"MORE", b"-inf"
    while word == b"MORE" and len(found) < limit:
        arguments = (index, holder_id, after, min(DELEGATIONS_PER_SCRIPT, limit - len(found)))
        word, after, *rows = yield from send(
            Operation(_GET_DELEGATIONS, namespace.keys.delegations, arguments, tuple)
        )
        found += [_decode_delegation(row) for row in rows]
    return found


def _decode_delegation(row: Sequence[Any]) -> Delegation:
    (
        id_,
        delegator,
        delegatee,
        kind,
        scope,
        parent,
        depth,
        left,
        created,
        expires,
        revoked,
        by,
        is_active,
    ) = (str(part) if isinstance(part, int) else part.decode() for part in row)
    return Delegation(
        id=id_,
        delegator_id=delegator,
        delegatee_id=delegatee,
        scope=tuple(sorted(unquote(part) for part in scope.strip(",").split(","))),
        type=DelegationType(kind),
        parent_id=parent or None,
        depth=int(depth),
        max_depth=int(left) if left else None,
        created_at=int(created) / 1e6,
        expires_at=int(expires) / 1e6 if expires else None,
        revoked_at=int(revoked) / 1e6 if revoked else None,
        revoked_by=by or None,
        is_active=is_active == "1",
    )
