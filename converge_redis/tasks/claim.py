"""Claiming: claim, claim_next, release_expired_claims."""

import logging
import time
from collections.abc import Iterable, Sequence
from typing import Any

from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Call, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.validation import short_repr, validate_id, validate_integer, validate_seconds
from converge_redis.errors import InvalidTypeError, InvalidValueError, StoreReplyError
from converge_redis.tasks.claim_filter import encode_filter
from converge_redis.tasks.claim_steps import ClaimRequest, Row, claim_available, claim_or_wait, grant_for
from converge_redis.tasks.model import Task
from converge_redis.tasks.replies import decode_task

_CLAIM = Script("tasks/claim")
_RELEASE_EXPIRED_CLAIMS = Script("tasks/release_expired_claims")

MAX_CLAIMS_PER_CALL = 1000
EXPIRED_CLAIMS_PER_SCRIPT = 100

_log = logging.getLogger("converge_redis")


def claim(
    namespace: Namespace,
    agent_id: str,
    task_id: str,
    *,
    enforce: str | Iterable[str] | None = None,
    on_behalf_of: str | None = None,
) -> Operation[bool]:
    """Claim one task: of all processes that try, one succeeds.

    Args:
        agent_id: The agent that claims.
        task_id: The task's id.
        enforce: A scope that must be delegated to the agent, checked by the same script; see
            `DelegationProtocol`. None: none is needed. Not available on a Redis cluster.
        on_behalf_of: The agent whose authority it must be, at the top of the chain or further down; None:
            anyone's.

    Returns:
        True; False when the task is unknown, not pending, or delayed. An expired claim counts as pending.

    Raises:
        NotAuthorizedError: The scope is not delegated to the agent.
    """
    validate_id("agent_id", agent_id)
    validate_id("task_id", task_id)
    grant = grant_for(namespace, agent_id, enforce, on_behalf_of)

    def decode(reply: Sequence[bytes]) -> bool:
        if reply[0] == b"NOT_GRANTED":
            raise grant.missing()
        return reply[0] == b"CLAIMED"

    arguments = (call_id(), task_id, agent_id, *(grant.arguments if grant.scope else ()))
    return Operation(_CLAIM, (*namespace.keys.shard_with(task_id), *grant.keys), arguments, decode)


def claim_next(
    namespace: Namespace,
    agent_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
    *,
    count: int = 1,
    wait: float = 0.0,
    enforce: str | Iterable[str] | None = None,
    on_behalf_of: str | None = None,
) -> Call[list[Task]]:
    """Claim the best tasks that an agent may have: by priority, then by id.

    A task without a pool, topic or required capability is open to all agents. A filter that is None is not
    applied; an empty one lets only such open tasks through. With several shards the order is strict within
    each shard, and successive calls begin with different shards.

    Args:
        agent_id: The agent that claims.
        pool_ids: The agent's pools.
        capabilities: The agent's capabilities; a task needs all of its required ones among them.
        topics: The agent's topics.
        count: The most tasks to claim, up to 1000.
        wait: Seconds to wait for a task when there is none. The server wakes the call; it does not poll.
        enforce: A scope that must be delegated to the agent, as in `claim`.
        on_behalf_of: The agent whose authority it must be, as in `claim`.

    Returns:
        The claimed tasks with their claim tokens, best first; an empty list when there is none.

    Raises:
        NotAuthorizedError: The scope is not delegated to the agent, or no longer.
    """
    validate_id("agent_id", agent_id)
    validate_integer("count", count, 1, MAX_CLAIMS_PER_CALL)
    validate_seconds("wait", wait, zero=True)
    grant = grant_for(namespace, agent_id, enforce, on_behalf_of)
    request = ClaimRequest(namespace, grant, encode_filter(pool_ids, capabilities, topics))
    if wait == 0:
        return claim_available(request, count, _decode_claimed)
    return _claim_or_wait(request, count, wait)


def _claim_or_wait(request: ClaimRequest, count: int, wait: float) -> Procedure[list[Task]]:
    return _decode_claimed((yield from claim_or_wait(request, count, wait)))


def _decode_claimed(rows: Sequence[Row]) -> list[Task]:
    """Decode tasks that were claimed together; one that cannot be read does not affect the others."""
    tasks: list[Task] = []
    errors: list[StoreReplyError] = []
    for row in rows:
        try:
            tasks.append(decode_task(row))
        except StoreReplyError as error:
            errors.append(error)
    if errors and not tasks:
        raise errors[0]
    for unreadable in errors:
        _log.error("a claimed task cannot be read: %s", unreadable)
    return sorted(tasks, key=lambda task: (-task.priority, task.id.encode()))


def release_expired_claims(namespace: Namespace, now_ts: float | None = None) -> Procedure[list[str]]:
    """Release claims whose lease has run out. Any process may, at any time; every claim releases some.

    Args:
        now_ts: A time on the caller's ``time.monotonic()``, as in the in-memory interface. Its difference
            from that clock's current time is added to the server's time. None: the server's current time.

    Returns:
        The ids of the tasks that are pending again, without those that failed instead, because of their
        ``max_retries`` or deadline.
    """
    shift = 0 if now_ts is None else round((_monotonic(now_ts) - time.monotonic()) * 1e6)
    released: list[str] = []
    for shard in range(namespace.shards):
        is_more = True
        while is_more:
            is_more, ids = yield from send(
                Operation(
                    _RELEASE_EXPIRED_CLAIMS,
                    namespace.keys.shard(shard),
                    (shift, EXPIRED_CLAIMS_PER_SCRIPT),
                    lambda reply: (reply[0] == b"MORE", [task_id.decode() for task_id in reply[1:]]),
                )
            )
            released += ids
    return released


def _monotonic(now_ts: Any) -> float:
    if isinstance(now_ts, bool) or not isinstance(now_ts, int | float):
        raise InvalidTypeError(f"now_ts must be a number of seconds, not {short_repr(now_ts)}")
    if not abs(now_ts) <= 1e9:  # NaN too; no monotonic clock has run for thirty years
        raise InvalidValueError(f"now_ts must be a time on time.monotonic(), not {short_repr(now_ts)}")
    return now_ts
