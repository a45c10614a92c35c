"""Verbs that make claims, and end expired ones: claim, claim_next, release_expired_claims."""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import unquote

from converge_redis.core.ids import call_id
from converge_redis.core.keys import in_order
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask, join, listen
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_id, check_ids, check_integer, check_seconds, shown
from converge_redis.delegation.scopes import scope_of
from converge_redis.errors import (
    ConvergeError,
    InvalidTypeError,
    InvalidValueError,
    NotAuthorizedError,
    StoreReplyError,
)
from converge_redis.notifications.listener import Listener
from converge_redis.tasks.claim_queue import Claimer, Visible, Work
from converge_redis.tasks.model import Task, TaskState
from converge_redis.tasks.replies import read_task
from converge_redis.tasks.waiters import profile_of

_CLAIM = Script("tasks/claim")
_CLAIM_NEXT = Script("tasks/claim_next")
_RELEASE_EXPIRED_CLAIMS = Script("tasks/release_expired_claims")

_log = logging.getLogger("converge_redis")

MOST_CLAIMS_AT_ONCE = 1000
EXPIRED_CLAIMS_PER_SCRIPT = 100
MOST_CALLS_TO_CLEAR = 100_000
"""How often a claim that finds nothing is made again at once, while there is much to clear away first."""


def claim(
    space: Namespace,
    agent_id: str,
    task_id: str,
    *,
    enforce: str | Iterable[str] | None = None,
    on_behalf_of: str | None = None,
) -> Operation[bool]:
    """Claim one task: of all processes that try, one gets it.

    Args:
        agent_id: The agent that claims.
        task_id: The task's id.
        enforce: A scope that has to be delegated to the agent, which the same script checks; see
            `DelegationProtocol`. None: nothing has to be. On a Redis cluster it cannot be checked.
        on_behalf_of: The agent whose authority it has to be, at the top of the chain or further down; None:
            anybody's.

    Returns:
        True; False when the task is unknown, not pending, or delayed. An expired claim counts as pending.

    Raises:
        NotAuthorizedError: The scope is not delegated to the agent.
    """
    check_id("agent_id", agent_id)
    check_id("task_id", task_id)
    grant = _grant(space, agent_id, enforce, on_behalf_of)

    def read(reply: Sequence[bytes]) -> bool:
        if reply[0] == b"NOT_GRANTED":
            raise grant.missing()
        return reply[0] == b"CLAIMED"

    arguments = (call_id(), task_id, agent_id, *(grant.arguments if grant.scope else ()))
    return Operation(_CLAIM, (*space.keys.shard_with(task_id), *grant.keys), arguments, read)


@dataclass(frozen=True, slots=True)
class Grant:
    """Who claims, and what has to be delegated to it for that; the scope "": nothing.

    Attributes:
        agent_id: The agent.
        principal_id: On whose behalf it claims; "": anybody's.
        scope: What has to be delegated to it.
        keys: The KEYS of delegations.
        state: The state of what it claims: assigned, or running where the work begins at once.
    """

    agent_id: str
    principal_id: str = ""
    scope: str = ""
    keys: tuple[str, ...] = ()
    state: TaskState = TaskState.ASSIGNED

    @property
    def arguments(self) -> tuple[str, str]:
        """As the scripts take it."""
        return self.principal_id, self.scope

    def missing(self) -> NotAuthorizedError:
        """Return the error for an agent to which it is not delegated."""
        whose = f" by agent {self.principal_id!r}" if self.principal_id else ""
        wanted = ", ".join(unquote(part) for part in self.scope.strip(",").split(","))
        return NotAuthorizedError(
            f"agent {self.agent_id!r} is not authorized to claim: {wanted!r} is not delegated to it{whose}"
        )


def _grant(
    space: Namespace, agent_id: str, enforce: str | Iterable[str] | None, on_behalf_of: str | None
) -> Grant:
    if enforce is None:
        if on_behalf_of is not None:
            raise InvalidValueError("on_behalf_of needs a scope to enforce")
        return Grant(agent_id)
    principal = "" if on_behalf_of is None else check_id("on_behalf_of", on_behalf_of)
    return Grant(agent_id, principal, scope_of("enforce", enforce), space.keys.delegations)


def claim_next(
    space: Namespace,
    agent_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
    *,
    count: int = 1,
    wait: float = 0.0,
    enforce: str | Iterable[str] | None = None,
    on_behalf_of: str | None = None,
) -> Steps[list[Task]]:
    """Claim the best tasks that an agent may have: by priority, then by id.

    A task without a pool, topic or required capability is open to all. A filter that is None is not applied;
    an empty one lets only such open tasks through. With several shards the order is strict within each, and
    calls take turns over where they begin.

    Args:
        agent_id: The agent that claims.
        pool_ids: The pools that the agent is in.
        capabilities: What the agent can do; a task needs all of its required ones among them.
        topics: The topics that the agent takes.
        count: The most tasks to claim, up to 1000.
        wait: Seconds to wait for a task when there is none; nothing is polled meanwhile.
        enforce: A scope that has to be delegated to the agent, as in `claim`.
        on_behalf_of: The agent whose authority it has to be, as in `claim`.

    Returns:
        The claimed tasks with their claim tokens, best first; an empty list when there is none.

    Raises:
        NotAuthorizedError: The scope is not delegated to the agent, or no more.
    """
    check_id("agent_id", agent_id)
    check_integer("count", count, 1, MOST_CLAIMS_AT_ONCE)
    check_seconds("wait", wait, zero=True)
    visible = visible_lanes(pool_ids, capabilities, topics)
    grant = _grant(space, agent_id, enforce, on_behalf_of)
    if wait == 0:
        rows = yield from look(space, grant, visible, count)
    else:
        rows = yield from claim_or_wait(space, grant, visible, count, wait)
    return sorted(_readable(rows), key=lambda task: (-task.priority, task.id.encode()))


_turns = itertools.count()


def _in_turn(space: Namespace) -> list[int]:
    first = next(_turns)
    return [(first + turn) % space.shards for turn in range(space.shards)]


def _readable(rows: Sequence[Sequence[Any]]) -> list[Task]:
    """Read tasks that were claimed together: one that cannot be read takes no other with it."""
    tasks: list[Task] = []
    failed: list[StoreReplyError] = []
    for row in rows:
        try:
            tasks.append(read_task(row))
        except StoreReplyError as error:
            failed.append(error)
    if failed and not tasks:
        raise failed[0]
    for why in failed:
        _log.error("a task was claimed that cannot be read: %s", why)
    return tasks


Row = Sequence[Any]
"""A claimed task as the reply has it; `read_task` makes a `Task` of it."""


def look(
    space: Namespace, grant: Grant, visible: Visible, count: int, claimer: Claimer | str = ""
) -> Steps[list[Row]]:
    """Claim what there is, shard after shard; see `_claim_in`."""
    rows: list[Row] = []
    for shard in _in_turn(space):
        rows += yield from _claim_in(space, shard, grant, visible, count - len(rows), claimer, "look", rows)
        if len(rows) == count:
            break
    return rows


def claim_or_wait(
    space: Namespace,
    grant: Grant,
    visible: Visible,
    count: int,
    wait: float,
    on_joined: Callable[[Claimer], None] | None = None,
) -> Steps[list[Row]]:
    """Claim what there is; wait for more where there is nothing.

    Args:
        space: The namespace.
        grant: The agent that claims, and what has to be delegated to it.
        visible: What it may have (`visible_lanes`).
        count: The most tasks.
        wait: The most seconds to wait.
        on_joined: Called with the claimer, which may be told to give up the wait.
    """
    ends = time.monotonic() + wait
    claimer = yield from join(visible)
    if on_joined is not None:
        on_joined(claimer)
    try:
        rows: list[Row] = []
        if not claimer.is_heard:  # who waits where nothing is heard would not be woken
            rows = yield from look(space, grant, visible, count, claimer)
            if rows or not (yield from listen(partial(_heard, claimer, ends))):
                return rows
        for shard in _in_turn(space):
            act = "look" if rows else "wait"
            wanted = count - len(rows)
            rows += yield from _claim_in(space, shard, grant, visible, wanted, claimer, act, rows)
            if len(rows) == count:
                break
        while not rows and (work := (yield from listen(partial(_told, claimer, ends)))):
            shard, lane = work
            rows = yield from _claim_in(space, shard, grant, visible, count, claimer, lane, rows)
        for shard in sorted(claimer.queued) if not rows else ():
            rows = yield from _claim_in(space, shard, grant, visible, count, claimer, "leave", rows)
            if rows:
                break
        return rows
    finally:
        claimer.leave()


async def _heard(claimer: Claimer, ends: float, _listener: Listener) -> bool:
    return await claimer.heard(ends - time.monotonic())


async def _told(claimer: Claimer, ends: float, _listener: Listener) -> Work | None:
    return await claimer.told(ends - time.monotonic())


def _claim_in(
    space: Namespace,
    shard: int,
    grant: Grant,
    visible: Visible,
    count: int,
    claimer: Claimer | str,
    act: str,
    claimed: Sequence[Row],
) -> Steps[list[Row]]:
    """Claim in one shard.

    Args:
        space: The namespace.
        shard: The shard.
        grant: The agent that claims, and what has to be delegated to it.
        visible: What it may have.
        count: The most tasks.
        claimer: Who may wait; or only the listener that is told when a claim ends by somebody else's doing,
            or "".
        act: What the script is to do (``tasks/lua/claim_next.lua``).
        claimed: What was claimed in other shards: the caller must have it, also when this one fails.
    """
    for _ in range(MOST_CALLS_TO_CLEAR):
        start = (call_id(), grant.agent_id, count)
        who: tuple[Argument, ...] = (str(claimer), "", "")
        if isinstance(claimer, Claimer):
            who = (claimer.listener, claimer.number, profile_of(visible))
        rest = (*who, act, grant.state.value, *grant.arguments, *visible)
        operation = Operation(
            _CLAIM_NEXT,
            (*space.keys.shard(shard), *grant.keys),
            (*start, "first", *rest),
            _read_claimed,
            args_again=(*start, "again", *rest),
        )
        try:
            if isinstance(claimer, Claimer):
                claimer.looks(shard)
            found = yield from ask(operation)
        except ConvergeError as error:
            if claimed:
                _log.warning("agent %r claims in fewer shards: %s", grant.agent_id, error)
                return []
            raise
        if isinstance(claimer, Claimer) and (not found.granted or not found.more):
            claimer.looked(shard, queued=found.queued(act), tick_in=found.tick_in)
        if not found.granted:
            if claimed:
                return []
            raise grant.missing()
        if not found.more:
            break
    return found.rows


@dataclass(slots=True)
class _Found:
    """What a claim script has found; `more`: it has to be called again to tell."""

    rows: list[Row]
    more: bool = False
    tick_in: float | None = None
    granted: bool = True

    def queued(self, act: str) -> bool:
        """Tell whether the script has put the claimer in the queue."""
        return self.granted and not self.rows and act not in {"look", "leave"}


def _read_claimed(reply: Sequence[Any]) -> _Found:
    if reply[0] == b"CLAIMED":
        return _Found(list(reply[1:]))
    if reply[0] == b"NOT_GRANTED":
        return _Found([], granted=False)
    if reply[0] == b"MORE":
        return _Found([], more=True)
    return _Found([], tick_in=int(reply[1]) / 1e6 if reply[1] else None)


def visible_lanes(
    pool_ids: Iterable[str] | None, capabilities: Iterable[str] | None, topics: Iterable[str] | None
) -> tuple[Argument, ...]:
    """Lay out which lanes an agent may claim from, as ``tasks/lua/shared/lanes.lua`` reads it.

    Args:
        pool_ids: The agent's pools; None: no filter.
        capabilities: What the agent can do; None: no filter.
        topics: The agent's topics; None: no filter.
    """
    return _visible_lanes(
        None if pool_ids is None else check_ids("pool_ids", pool_ids),
        None if capabilities is None else check_ids("capabilities", capabilities),
        None if topics is None else check_ids("topics", topics),
    )


@lru_cache(maxsize=1024)
def _visible_lanes(
    pool_ids: tuple[str, ...] | None, capabilities: tuple[str, ...] | None, topics: tuple[str, ...] | None
) -> tuple[Argument, ...]:
    lists: tuple[list[str] | None, ...] = (
        None if pool_ids is None else in_order(("", *pool_ids), ":"),
        None if topics is None else in_order(("", *topics), ":"),
        None if capabilities is None else in_order(capabilities, ","),
    )
    laid_out: list[Argument] = []
    for parts in lists:
        laid_out += [-1] if parts is None else [len(parts), *parts]
    return tuple(laid_out)


def release_expired_claims(space: Namespace, now_ts: float | None = None) -> Steps[list[str]]:
    """Release claims whose lease has run out; anybody may, at any time, and every claim does some of it.

    Args:
        now_ts: A time on the caller's ``time.monotonic()``, as in the in-memory interface. Its difference
            from that clock's present is added to the server's time. None: the server's now.

    Returns:
        The ids of the tasks that are pending again. Tasks that failed instead, past their ``max_retries`` or
        deadline, are not among them.
    """
    shift = 0 if now_ts is None else round((_monotonic(now_ts) - time.monotonic()) * 1e6)
    released: list[str] = []
    for shard in range(space.shards):
        more = True
        while more:
            more, ids = yield from ask(
                Operation(
                    _RELEASE_EXPIRED_CLAIMS,
                    space.keys.shard(shard),
                    (shift, EXPIRED_CLAIMS_PER_SCRIPT),
                    _read_released,
                )
            )
            released += ids
    return released


def _monotonic(now_ts: Any) -> float:
    if isinstance(now_ts, bool) or not isinstance(now_ts, int | float):
        raise InvalidTypeError(f"now_ts must be a number of seconds, not {shown(now_ts)}")
    if not abs(now_ts) <= 1e9:  # also refuses NaN; nobody's monotonic clock has run for thirty years
        raise InvalidValueError(f"now_ts must be a time on time.monotonic(), not {shown(now_ts)}")
    return now_ts


def _read_released(reply: Sequence[Any]) -> tuple[bool, list[str]]:
    return reply[0] == b"MORE", [task_id.decode() for task_id in reply[1:]]
