"""Verbs about pools and who is in them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from converge_redis.core.codec import decode, encode
from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask, near, then_forget
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_id, check_integer
from converge_redis.errors import AdmissionDeniedError, PoolExistsError, PoolNotFoundError
from converge_redis.notifications.near_entries import Reading
from converge_redis.pools.admission import checked, policies_of
from converge_redis.pools.model import (
    Admission,
    AdmissionPolicy,
    CustomAdmission,
    Pool,
    PoolSpec,
    TokenAdmission,
    WhitelistAdmission,
    checked_spec,
    policy_name,
    token_digest,
)

_CREATE_POOL = Script("pools/create_pool")
_JOIN_POOL = Script("pools/join_pool")
_LEAVE_POOL = Script("pools/leave_pool")
_GET_POOL = Script("pools/get_pool")
_GET_POOLS_FOR_AGENT = Script("pools/get_pools_for_agent")
_LIST_POOLS = Script("pools/list_pools")
_DELETE_POOL = Script("pools/delete_pool")
_CLEAR_POOL = Script("pools/clear_pool")

IDS_PER_SCRIPT = 1000
MOST_QUESTIONS = 100
"""How often a policy is asked for one join. Each time it is asked again, somebody else has joined or left."""

NO_LIMIT = 2**53


def create_pool(space: Namespace, spec: PoolSpec | Mapping[str, Any]) -> Steps[Pool]:
    """Create a pool. The same specification again has no effect, so the call can be repeated.

    Args:
        spec: What the pool is to be: a `PoolSpec`, or a mapping with its fields. An admission policy that is
            a Python object is registered in this manager, and stored by its name only: its attribute
            ``name``, else the name of its class. Other processes register theirs with `use_policy`.

    Returns:
        The pool, new or existing.

    Raises:
        PoolExistsError: A pool with another specification has this id.
        InvalidTypeError, InvalidValueError: A field is malformed or unknown.
        PayloadTooLargeError: The specification exceeds the store's ``payload_limit``.
    """
    given = checked_spec(spec)
    admission, policy = _as_data(given.admission_policy)
    stored = encode(f"pool {given.id!r}", _values(given, admission), space.payload_limit)
    asks = isinstance(admission, CustomAdmission) or given.trust_threshold is not None
    max_agents = "" if given.max_agents is None else given.max_agents
    arguments = (given.id, stored, admission.type, "1" if asks else "", max_agents, *_admitted(admission))
    pool: Pool | None = None
    while pool is None:
        word, *rest = yield from ask(Operation(_CREATE_POOL, space.keys.pools, arguments, tuple))
        if word == b"CREATED":
            pool = _pool(given.id, stored, rest[0], rest[1], [])
        elif word == b"EXISTS":
            # Equal specifications may differ in bytes: the order of a dict's items does not count.
            if rest[0] != stored and decode(rest[0]) != decode(stored):
                raise PoolExistsError(
                    f"a pool with another specification has the id {given.id!r}; give the new one another id"
                )
            pool = yield from get_pool(space, given.id)  # None: deleted meanwhile
    if policy is not None:
        policies_of(space).use_for(given.id, policy_name(policy), policy)
    return pool


def _as_data(given: Any) -> tuple[Admission, AdmissionPolicy | None]:
    """Return an admission policy as it is stored, and the Python object behind it, if it is one."""
    if isinstance(given, Admission):
        return given, None
    checked(given, "spec.admission_policy", "can_admit")
    return CustomAdmission(name=policy_name(given)), given


def _values(spec: PoolSpec, admission: Admission) -> dict[str, Any]:
    """Return the stored fields of a specification; those that say nothing are left out."""
    values = {name: getattr(spec, name) for name in PoolSpec.model_fields if name != "id"}
    values["admission_policy"] = admission.model_dump()
    return {name: value for name, value in values.items() if value is not None and value not in ([], {})}


def _admitted(admission: Admission) -> Sequence[str]:
    match admission:
        case WhitelistAdmission(allowed=agents):
            return agents
        case TokenAdmission(digests=digests):
            return digests
    return ()


def join_pool(space: Namespace, agent_id: str, pool_id: str, *, token: str | None = None) -> Steps[None]:
    """Make an agent a member of a pool, if the pool admits it; a member stays one.

    Whitelist, token and ``max_agents`` are enforced by the server, however many join at once. A policy that
    is a Python object, and who tells of trust, are asked in this process (by plain function calls, which
    block an event loop), and asked again when the pool's members change before the agent is in.

    Args:
        agent_id: The agent.
        pool_id: The pool.
        token: A token of the pool, where it asks for one.

    Raises:
        PoolNotFoundError: There is no such pool.
        AdmissionDeniedError: The pool does not admit the agent; ``reason`` is ``"full"``,
            ``"not_on_whitelist"``, ``"wrong_token"``, ``"untrusted"``, ``"policy"``, or ``"busy"``: the pool
            changed each of the 100 times that its policy was asked.
        ConfigurationError: The policy object that the pool names is not registered in this manager; see
            `use_policy` and `use_trust`.
    """
    check_id("agent_id", agent_id)
    check_id("pool_id", pool_id)
    start = (call_id(), agent_id, pool_id, "" if token is None else token_digest(token))

    def attempt(version: Argument) -> Operation[bool]:
        read = partial(_read_joined, agent_id, pool_id)
        return Operation(_JOIN_POOL, space.keys.pools, (*start, version), read)

    touched = (*space.keys.pool(pool_id), space.keys.pools_of(agent_id))
    if (yield from then_forget(attempt(""), *touched)):
        return
    for _ in range(MOST_QUESTIONS):
        pool = yield from get_pool(space, pool_id)
        if pool is None:
            raise _not_found(pool_id)
        policies_of(space).ask(agent_id, pool)
        if (yield from then_forget(attempt(pool.version), *touched)):
            return
    raise AdmissionDeniedError(
        f"pool {pool_id!r} changed each of the {MOST_QUESTIONS} times that its policy was asked about agent "
        f"{agent_id!r}; try again",
        "busy",
    )


_DENIALS = {
    "full": "it has as many members as max_agents allows",
    "not_on_whitelist": "the agent is not on its whitelist",
    "wrong_token": "it wants a token, and the one given, if any, is not among its tokens",
}


def _read_joined(agent_id: str, pool_id: str, reply: Sequence[Any]) -> bool:
    """Return True for a member, False where the policy objects are to be asked."""
    match reply[0]:
        case b"UNKNOWN":
            raise _not_found(pool_id)
        case b"DENIED":
            reason = reply[1].decode()
            raise AdmissionDeniedError(
                f"pool {pool_id!r} does not admit agent {agent_id!r}: {_DENIALS[reason]}", reason
            )
    return bool(reply[0] == b"JOINED")


def _not_found(pool_id: str) -> PoolNotFoundError:
    return PoolNotFoundError(f"there is no pool {pool_id!r}; create it with create_pool")


def leave_pool(space: Namespace, agent_id: str, pool_id: str) -> Steps[bool]:
    """End an agent's membership.

    Args:
        agent_id: The agent.
        pool_id: The pool.

    Returns:
        True; False when the agent is not a member, or the pool is unknown.
    """
    check_id("agent_id", agent_id)
    check_id("pool_id", pool_id)
    arguments = (call_id(), agent_id, pool_id)
    work = Operation(_LEAVE_POOL, space.keys.pools, arguments, lambda reply: bool(reply[0] == b"LEFT"))
    return then_forget(work, *space.keys.pool(pool_id), space.keys.pools_of(agent_id))


def get_pool(space: Namespace, pool_id: str) -> Steps[Pool | None]:
    """Read a pool. Members that join or leave while a large pool is read may or may not be in the snapshot.

    Args:
        pool_id: The pool.

    Returns:
        A snapshot; None when there is no such pool.
    """
    check_id("pool_id", pool_id)
    copies = yield from near()
    if copies is None:
        return (yield from _read_pool(space, pool_id, None))
    with copies.reading(space.keys.pool(pool_id)) as reading:
        return (yield from _read_pool(space, pool_id, reading))


def _read_pool(space: Namespace, pool_id: str, reading: Reading | None) -> Steps[Pool | None]:
    members: list[str] = []
    first: Sequence[bytes] | None = None
    created, after, more = b"", b"-inf", True
    while more:
        word, *rest = yield from ask(
            Operation(_GET_POOL, space.keys.pools, (pool_id, created, after, IDS_PER_SCRIPT), tuple)
        )
        if word == b"UNKNOWN":
            return None
        # The version of the first page: what changes later makes a join under it fail, as it must.
        first = first or rest
        created, after, more = rest[1], rest[3], word == b"MORE"
        members += [agent.decode() for agent in rest[4:]]
    assert first is not None  # noqa: S101
    spec, created, version = first[:3]
    if reading is not None:
        size = len(spec) + sum(map(len, members))
        again = partial(_pool, pool_id, spec, created, version, members)
        reading.keep(("get_pool", pool_id), again(), again, size)
    return _pool(pool_id, spec, created, version, members)


def _pool(pool_id: str, spec: bytes, created: bytes, version: bytes, members: list[str]) -> Pool:
    values = decode(spec)
    return Pool(
        id=pool_id, members=list(members), created_at=int(created) / 1e6, version=int(version), **values
    )


def get_pools_for_agent(space: Namespace, agent_id: str) -> Steps[list[str]]:
    """List the pools that an agent is in.

    Args:
        agent_id: The agent.

    Returns:
        The ids of the pools, in the order of joining.
    """
    check_id("agent_id", agent_id)
    copies = yield from near()
    if copies is None:
        return (yield from _read_pools_of(space, agent_id))
    with copies.reading([space.keys.pools_of(agent_id)]) as reading:
        found = yield from _read_pools_of(space, agent_id)
        size = sum(map(len, found))
        reading.keep(("get_pools_for_agent", agent_id), found, partial(list, found), size)
        return list(found)


def _read_pools_of(space: Namespace, agent_id: str) -> Steps[list[str]]:
    found: list[str] = []
    after, more = b"-inf", True
    while more:
        word, after, *ids = yield from ask(
            Operation(_GET_POOLS_FOR_AGENT, space.keys.pools, (agent_id, after, IDS_PER_SCRIPT), tuple)
        )
        more = word == b"MORE"
        found += [pool_id.decode() for pool_id in ids]
    return found


def list_pools(space: Namespace, limit: int | None = None) -> Steps[list[str]]:
    """List the ids of all pools.

    Args:
        limit: The most ids to list; None: all.

    Returns:
        The ids, in the order of their bytes.
    """
    most = NO_LIMIT if limit is None else check_integer("limit", limit, 1, NO_LIMIT)
    found: list[str] = []
    after, more = "-", True
    while more and len(found) < most:
        word, *ids = yield from ask(
            Operation(_LIST_POOLS, space.keys.pools, (after, min(IDS_PER_SCRIPT, most - len(found))), tuple)
        )
        more = word == b"MORE"
        found += [pool_id.decode() for pool_id in ids]
        after = f"({found[-1]}" if found else "-"
    return found


def delete_pool(space: Namespace, pool_id: str) -> Steps[bool]:
    """Delete a pool, and with it the memberships of its agents.

    The pool is gone at once. Its members are then cleared away in parts; when that is cut short, the next
    call for the same id goes on with it, and so does, a minute later, every creation or deletion of a pool.

    Args:
        pool_id: The pool.

    Returns:
        True; False when there is no such pool.
    """
    check_id("pool_id", pool_id)
    keys = space.keys.pools
    work = Operation(_DELETE_POOL, keys, (call_id(), pool_id), lambda reply: bool(reply[0] == b"DELETED"))
    deleted = yield from then_forget(work, *space.keys.pool(pool_id))
    policies_of(space).forget(pool_id)
    clearing = True
    while clearing:
        clearing = yield from ask(
            Operation(_CLEAR_POOL, keys, (pool_id,), lambda reply: bool(reply[0] == b"MORE"))
        )
    copies = yield from near()
    if copies is not None:
        copies.drop_all()  # also what its members are in
    return deleted
