"""Pools and their members: create_pool, join_pool, leave_pool, delete_pool, and reading them."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from converge_redis.core.codec import decode, encode
from converge_redis.core.ids import call_id
from converge_redis.core.operation import Argument, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_id, validate_integer
from converge_redis.errors import AdmissionDeniedError, PoolExistsError, PoolNotFoundError
from converge_redis.notifications.near_entries import NearEntries, PendingRead
from converge_redis.notifications.steps import invalidating, near_entries
from converge_redis.pools.admission import PoolContext, require_method
from converge_redis.pools.model import (
    Admission,
    AdmissionPolicy,
    CustomAdmission,
    Pool,
    PoolSpec,
    TokenAdmission,
    WhitelistAdmission,
    policy_name,
    token_digest,
    validate_spec,
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
MAX_POLICY_RETRIES = 100
"""The most calls of a policy for one join; each further call means that another agent has joined or left."""

NO_LIMIT = 2**53


def create_pool(pools: PoolContext, spec: PoolSpec | Mapping[str, Any]) -> Procedure[Pool]:
    """Create a pool. The same specification again has no effect, so the call can be repeated.

    Args:
        spec: A `PoolSpec`, or a mapping with its fields. An admission policy that is a Python object is
            registered in this manager, and only its name is stored: its attribute ``name``, else the name of
            its class. Other processes register theirs with `use_policy`.

    Returns:
        The pool, new or existing.

    Raises:
        PoolExistsError: A pool with another specification has this id.
        InvalidTypeError, InvalidValueError: A field is malformed or unknown.
        PayloadTooLargeError: The specification exceeds the store's ``payload_limit``.
    """
    valid = validate_spec(spec)
    admission, policy = _as_data(valid.admission_policy)
    stored = encode(f"pool {valid.id!r}", _stored_fields(valid, admission), pools.namespace.payload_limit)
    client_checked = isinstance(admission, CustomAdmission) or valid.trust_threshold is not None
    arguments: tuple[Argument, ...] = (
        valid.id,
        stored,
        admission.type,
        "1" if client_checked else "",
        "" if valid.max_agents is None else valid.max_agents,
        *_admitted(admission),
    )
    pool: Pool | None = None
    while pool is None:
        word, *rest = yield from send(Operation(_CREATE_POOL, pools.namespace.keys.pools, arguments, tuple))
        if word == b"CREATED":
            pool = _make_pool(valid.id, stored, rest[0], rest[1], [])
        elif word == b"EXISTS":
            # Equal specifications may differ in bytes, by the order of the items of a dict.
            if rest[0] != stored and decode(rest[0]) != decode(stored):
                raise PoolExistsError(
                    f"a pool with another specification has the id {valid.id!r}; give the new one another id",
                    valid.id,
                )
            pool = yield from get_pool(pools, valid.id)  # None: deleted meanwhile
    if policy is not None:
        pools.policies.register_for(valid.id, policy_name(policy), policy)
    return pool


def _as_data(policy: Any) -> tuple[Admission, AdmissionPolicy | None]:
    """Return an admission policy as it is stored, and the Python object behind it, if it is one."""
    if isinstance(policy, Admission):
        return policy, None
    require_method(policy, "spec.admission_policy", "can_admit")
    return CustomAdmission(name=policy_name(policy)), policy


def _stored_fields(spec: PoolSpec, admission: Admission) -> dict[str, Any]:
    """Return the stored fields of a specification, without empty ones."""
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


def join_pool(
    pools: PoolContext, agent_id: str, pool_id: str, *, token: str | None = None
) -> Procedure[None]:
    """Make an agent a member of a pool, if the pool admits it; a member stays one.

    The server enforces whitelist, token and ``max_agents``, however many agents join at the same time. A
    policy that is a Python object, and the trust provider, are called in this process, as plain functions
    that block an event loop; they are called again when the pool's members change before the agent has
    joined.

    Args:
        agent_id: The agent.
        pool_id: The pool.
        token: A token of the pool, where the pool requires one.

    Raises:
        PoolNotFoundError: There is no such pool.
        AdmissionDeniedError: The pool does not admit the agent; ``reason`` is ``"full"``,
            ``"not_on_whitelist"``, ``"wrong_token"``, ``"untrusted"``, ``"policy"``, or ``"busy"``: the pool
            changed during each of 100 calls of its policy.
        ConfigurationError: The policy object that the pool names is not registered in this manager; see
            `use_policy` and `use_trust`.
    """
    validate_id("agent_id", agent_id)
    validate_id("pool_id", pool_id)
    start = (call_id(), agent_id, pool_id, "" if token is None else token_digest(token))

    def attempt(version: Argument) -> Operation[bool]:
        decode = partial(_decode_joined, agent_id, pool_id)
        return Operation(_JOIN_POOL, pools.namespace.keys.pools, (*start, version), decode)

    written = (*pools.namespace.keys.pool(pool_id), pools.namespace.keys.pools_of(agent_id))
    if (yield from invalidating(attempt(""), *written)):
        return
    for _ in range(MAX_POLICY_RETRIES):
        pool = yield from get_pool(pools, pool_id)
        if pool is None:
            raise _not_found(pool_id)
        pools.policies.check_admission(agent_id, pool)
        if (yield from invalidating(attempt(pool.version), *written)):
            return
    raise AdmissionDeniedError(
        f"pool {pool_id!r} changed during each of {MAX_POLICY_RETRIES} calls of its policy for agent "
        f"{agent_id!r}; try again",
        "busy",
        agent_id,
        pool_id,
    )


_DENIALS = {
    "full": "it has as many members as max_agents allows",
    "not_on_whitelist": "the agent is not on its whitelist",
    "wrong_token": "it requires one of its tokens, and the given one, if any, is not among them",
}


def _decode_joined(agent_id: str, pool_id: str, reply: Sequence[Any]) -> bool:
    """Return True for a member, False where the policy objects must be called first."""
    match reply[0]:
        case b"UNKNOWN":
            raise _not_found(pool_id)
        case b"DENIED":
            reason = reply[1].decode()
            raise AdmissionDeniedError(
                f"pool {pool_id!r} does not admit agent {agent_id!r}: {_DENIALS[reason]}",
                reason,
                agent_id,
                pool_id,
            )
    return bool(reply[0] == b"JOINED")


def _not_found(pool_id: str) -> PoolNotFoundError:
    return PoolNotFoundError(f"there is no pool {pool_id!r}; create it with create_pool", pool_id)


def leave_pool(pools: PoolContext, agent_id: str, pool_id: str) -> Procedure[bool]:
    """End an agent's membership.

    Args:
        agent_id: The agent.
        pool_id: The pool.

    Returns:
        True; False when the agent is not a member, or the pool is unknown.
    """
    validate_id("agent_id", agent_id)
    validate_id("pool_id", pool_id)
    arguments = (call_id(), agent_id, pool_id)
    work = Operation(
        _LEAVE_POOL, pools.namespace.keys.pools, arguments, lambda reply: bool(reply[0] == b"LEFT")
    )
    return invalidating(work, *pools.namespace.keys.pool(pool_id), pools.namespace.keys.pools_of(agent_id))


def get_pool(pools: PoolContext, pool_id: str) -> Procedure[Pool | None]:
    """Read a pool. Members that join or leave while a large pool is read may or may not be in the snapshot.

    Args:
        pool_id: The pool.

    Returns:
        A snapshot; None when there is no such pool.
    """
    validate_id("pool_id", pool_id)
    return _read_pool(pools, pool_id, None)


def get_pool_near(pools: PoolContext, entries: NearEntries, pool_id: str) -> Procedure[Pool | None]:
    """Read as `get_pool` does, and store the pool in the near cache."""
    validate_id("pool_id", pool_id)
    with entries.reading(pools.namespace.keys.pool(pool_id)) as read:
        return (yield from _read_pool(pools, pool_id, read))


def _read_pool(pools: PoolContext, pool_id: str, read: PendingRead | None) -> Procedure[Pool | None]:
    members: list[str] = []
    first: Sequence[bytes] | None = None
    created, after, more = b"", b"-inf", True
    while more:
        word, *rest = yield from send(
            Operation(_GET_POOL, pools.namespace.keys.pools, (pool_id, created, after, IDS_PER_SCRIPT), tuple)
        )
        if word == b"UNKNOWN":
            return None
        # The version of the first page: a later change makes a join under this version fail, as it must.
        first = first or rest
        created, after, more = rest[1], rest[3], word == b"MORE"
        members += [agent.decode() for agent in rest[4:]]
    assert first is not None  # noqa: S101
    spec, created, version = first[:3]
    factory = partial(_make_pool, pool_id, spec, created, version, members)
    if read is not None:
        size = len(spec) + sum(map(len, members))
        read.store(("get_pool", pool_id), factory(), factory, size)
    return factory()


def _make_pool(pool_id: str, spec: bytes, created: bytes, version: bytes, members: list[str]) -> Pool:
    values = decode(spec)
    return Pool(
        id=pool_id, members=list(members), created_at=int(created) / 1e6, version=int(version), **values
    )


def get_pools_for_agent(pools: PoolContext, agent_id: str) -> Procedure[list[str]]:
    """List the pools that an agent is in.

    Args:
        agent_id: The agent.

    Returns:
        The ids of the pools, in the order of joining.
    """
    validate_id("agent_id", agent_id)
    return _read_pools_of(pools, agent_id)


def get_pools_for_agent_near(pools: PoolContext, entries: NearEntries, agent_id: str) -> Procedure[list[str]]:
    """Read as `get_pools_for_agent` does, and store the list in the near cache."""
    validate_id("agent_id", agent_id)
    with entries.reading([pools.namespace.keys.pools_of(agent_id)]) as read:
        found = yield from _read_pools_of(pools, agent_id)
        size = sum(map(len, found))
        read.store(("get_pools_for_agent", agent_id), found, partial(list, found), size)
        return list(found)


def _read_pools_of(pools: PoolContext, agent_id: str) -> Procedure[list[str]]:
    found: list[str] = []
    after, more = b"-inf", True
    while more:
        word, after, *ids = yield from send(
            Operation(
                _GET_POOLS_FOR_AGENT, pools.namespace.keys.pools, (agent_id, after, IDS_PER_SCRIPT), tuple
            )
        )
        more = word == b"MORE"
        found += [pool_id.decode() for pool_id in ids]
    return found


def list_pools(pools: PoolContext, *, limit: int | None = None) -> Procedure[list[str]]:
    """List the ids of all pools.

    Args:
        limit: The most ids to list; None: all.

    Returns:
        The ids, in the order of their bytes.
    """
    max_pools = NO_LIMIT if limit is None else validate_integer("limit", limit, 1, NO_LIMIT)
    found: list[str] = []
    after, more = "-", True
    while more and len(found) < max_pools:
        word, *ids = yield from send(
            Operation(
                _LIST_POOLS,
                pools.namespace.keys.pools,
                (after, min(IDS_PER_SCRIPT, max_pools - len(found))),
                tuple,
            )
        )
        more = word == b"MORE"
        found += [pool_id.decode() for pool_id in ids]
        after = f"({found[-1]}" if found else "-"
    return found


def delete_pool(pools: PoolContext, pool_id: str) -> Procedure[bool]:
    """Delete a pool, and with it the memberships of its agents.

    The pool is gone at once. Its members are then removed in batches. When that is interrupted, the next call
    for the same id continues it, and so does, a minute later, every creation or deletion of a pool.

    Args:
        pool_id: The pool.

    Returns:
        True; False when there is no such pool.
    """
    validate_id("pool_id", pool_id)
    keys = pools.namespace.keys.pools
    work = Operation(_DELETE_POOL, keys, (call_id(), pool_id), lambda reply: bool(reply[0] == b"DELETED"))
    deleted = yield from invalidating(work, *pools.namespace.keys.pool(pool_id))
    pools.policies.unregister(pool_id)
    is_more = True
    while is_more:
        is_more = yield from send(
            Operation(_CLEAR_POOL, keys, (pool_id,), lambda reply: bool(reply[0] == b"MORE"))
        )
    entries = yield from near_entries()
    if entries is not None:
        entries.drop_all()  # the lists of its members' pools too
    return deleted
