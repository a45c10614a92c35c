"""The steps of claim_next: claim in one shard, in all of them, or wait for a task."""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote

from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Call, Operation, Procedure, Unfinished, send
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_id
from converge_redis.delegation.model import encode_scope
from converge_redis.errors import ConvergeError, InvalidValueError, NotAuthorizedError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.steps import on_listener
from converge_redis.tasks.claim_filter import ClaimFilter, filter_id
from converge_redis.tasks.claim_queue import ReadyLane, WaitingClaimer, waiting_claimer
from converge_redis.tasks.model import TaskState

_CLAIM_NEXT = Script("tasks/claim_next")

MAX_CALLS_TO_CLEAR = 100_000
"""How often a claim is sent again at once while there is much that is due to be cleared away first."""

T = TypeVar("T")
Row = Sequence[Any]
"""A claimed task as the reply holds it; `decode_task` makes a `Task` of it."""

_log = logging.getLogger("converge_redis")
_next_turn = itertools.count()


@dataclass(frozen=True, slots=True)
class Grant:
    """The agent that claims, and the scope that must be delegated to it for that.

    Attributes:
        agent_id: The agent.
        principal_id: The agent whose authority it must be; ``""``: anyone's.
        scope: The encoded scope; ``""``: none is needed.
        keys: The KEYS of delegations, where a scope is needed.
        state: The state of the tasks that it claims: assigned, or running where the work begins at once.
    """

    agent_id: str
    principal_id: str = ""
    scope: str = ""
    keys: tuple[str, ...] = ()
    state: TaskState = TaskState.ASSIGNED

    @property
    def arguments(self) -> tuple[str, str]:
        """The part of ARGV."""
        return self.principal_id, self.scope

    def missing(self) -> NotAuthorizedError:
        """Return the error for an agent to which the scope is not delegated."""
        whose = f" by agent {self.principal_id!r}" if self.principal_id else ""
        scope = ", ".join(unquote(part) for part in self.scope.strip(",").split(","))
        return NotAuthorizedError(
            f"agent {self.agent_id!r} is not authorized to claim: {scope!r} is not delegated to it{whose}",
            "not_granted",
            self.agent_id,
        )


def grant_for(
    namespace: Namespace, agent_id: str, enforce: str | Iterable[str] | None, on_behalf_of: str | None
) -> Grant:
    """Validate the arguments `enforce` and `on_behalf_of` of a claim."""
    if enforce is None:
        if on_behalf_of is not None:
            raise InvalidValueError("on_behalf_of needs a scope to enforce")
        return Grant(agent_id)
    principal = "" if on_behalf_of is None else validate_id("on_behalf_of", on_behalf_of)
    return Grant(agent_id, principal, encode_scope("enforce", enforce), namespace.keys.delegations)


@dataclass(slots=True)
class _Found:
    """The outcome of a claim script.

    Attributes:
        rows: The claimed tasks.
        is_more: Whether the script must be called again before it is certain that there is nothing.
        due_in: Seconds until the due timer is to fire, where the claimer was put into the queue.
        granted: False where the scope is not delegated to the agent.
    """

    rows: list[Row]
    is_more: bool = False
    due_in: float | None = None
    granted: bool = True


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """What the claim scripts of one call have in common.

    Attributes:
        namespace: The namespace.
        grant: The agent.
        claim_filter: Which lanes it may claim from.
        listener: The listener to notify when another process ends a claim; ``""``: none.
    """

    namespace: Namespace
    grant: Grant
    claim_filter: ClaimFilter
    listener: str = ""

    def operation(
        self, shard: int, count: int, mode: str, claimer: WaitingClaimer | None, decode: Callable[[Any], T]
    ) -> Operation[T]:
        """Make the operation for one shard; ``tasks/lua/claim_next.lua`` explains the modes."""
        start = (call_id(), self.grant.agent_id, count)
        registration: tuple[Argument, ...] = (self.listener, "", "")
        if claimer is not None:
            registration = (claimer.listener, claimer.number, filter_id(self.claim_filter))
        rest = (*registration, mode, self.grant.state.value, *self.grant.arguments, *self.claim_filter)
        return Operation(
            _CLAIM_NEXT,
            (*self.namespace.keys.shard(shard), *self.grant.keys),
            (*start, "first", *rest),
            decode,
            retry_args=(*start, "again", *rest),
        )


def claim_available(request: ClaimRequest, count: int, result_of: Callable[[list[Row]], T]) -> Call[T]:
    """Claim what is there, without waiting; one operation where there is one shard.

    Args:
        request: The request.
        count: The most tasks.
        result_of: Makes the result of the claimed rows.
    """
    if request.namespace.shards > 1:
        return _result(_claim_in_turn(request, count, None), result_of)

    def decode(reply: Sequence[Any]) -> T:
        found = _decode_found(reply)
        if not found.granted:
            raise request.grant.missing()
        if found.is_more:
            raise Unfinished(_result(_claim_in(request, 0, count, None, "look", ()), result_of))
        return result_of(found.rows)

    return request.operation(0, count, "look", None, decode)


def _result(rows: Procedure[list[Row]], result_of: Callable[[list[Row]], T]) -> Procedure[T]:
    return result_of((yield from rows))


def claim_or_wait(
    request: ClaimRequest,
    count: int,
    wait: float,
    on_waiting: Callable[[WaitingClaimer], None] | None = None,
) -> Procedure[list[Row]]:
    """Claim what is there; wait for a task where there is nothing.

    Args:
        request: The request.
        count: The most tasks.
        wait: The most seconds to wait.
        on_waiting: Called with the claimer, by which another task of the event loop can end the wait.
    """
    deadline = time.monotonic() + wait
    claimer = yield from waiting_claimer(request.claim_filter)
    if on_waiting is not None:
        on_waiting(claimer)
    try:
        rows: list[Row] = []
        if not claimer.is_subscribed:  # a wake-up would be lost
            rows = yield from _claim_in_turn(request, count, claimer)
            if rows or not (yield from on_listener(partial(_wait_subscribed, claimer, deadline))):
                return rows
        for shard in _shards_in_turn(request.namespace):
            mode = "look" if rows else "wait"
            rows += yield from _claim_in(request, shard, count - len(rows), claimer, mode, rows)
            if len(rows) == count:
                break
        while not rows and (ready := (yield from on_listener(partial(_next_ready_lane, claimer, deadline)))):
            shard, lane = ready
            rows = yield from _claim_in(request, shard, count, claimer, lane, rows)
        for shard in sorted(claimer.queued) if not rows else ():
            rows = yield from _claim_in(request, shard, count, claimer, "leave", rows)
            if rows:
                break
        return rows
    finally:
        claimer.close()


async def _wait_subscribed(claimer: WaitingClaimer, deadline: float, _listener: Listener) -> bool:
    return await claimer.wait_subscribed(deadline - time.monotonic())


async def _next_ready_lane(claimer: WaitingClaimer, deadline: float, _listener: Listener) -> ReadyLane | None:
    return await claimer.next_ready_lane(deadline - time.monotonic())


def _shards_in_turn(namespace: Namespace) -> list[int]:
    """Return all shards; each call begins with another one."""
    first = next(_next_turn)
    return [(first + turn) % namespace.shards for turn in range(namespace.shards)]


def _claim_in_turn(request: ClaimRequest, count: int, claimer: WaitingClaimer | None) -> Procedure[list[Row]]:
    """Claim what is there, shard after shard."""
    rows: list[Row] = []
    for shard in _shards_in_turn(request.namespace):
        rows += yield from _claim_in(request, shard, count - len(rows), claimer, "look", rows)
        if len(rows) == count:
            break
    return rows


def _claim_in(
    request: ClaimRequest,
    shard: int,
    count: int,
    claimer: WaitingClaimer | None,
    mode: str,
    claimed: Sequence[Row],
) -> Procedure[list[Row]]:
    """Claim in one shard.

    Args:
        request: The request.
        shard: The shard.
        count: The most tasks.
        claimer: The claimer, where it may wait; None: it may not.
        mode: What the script does where it finds nothing; see ``tasks/lua/claim_next.lua``.
        claimed: What was claimed in other shards: the caller must get it, even if this shard fails.
    """
    for _ in range(MAX_CALLS_TO_CLEAR):
        try:
            if claimer is not None:
                claimer.claim_sent(shard)
            found = yield from send(request.operation(shard, count, mode, claimer, _decode_found))
        except ConvergeError as error:
            if claimed:
                _log.warning("agent %r claims in fewer shards: %s", request.grant.agent_id, error)
                return []
            raise
        if claimer is not None and (not found.granted or not found.is_more):
            queued = found.granted and not found.rows and mode not in {"look", "leave"}
            claimer.claim_answered(shard, queued=queued, due_in=found.due_in)
        if not found.granted:
            if claimed:
                return []
            raise request.grant.missing()
        if not found.is_more:
            break
    return found.rows


def _decode_found(reply: Sequence[Any]) -> _Found:
    match reply[0]:
        case b"CLAIMED":
            return _Found(list(reply[1:]))
        case b"NOT_GRANTED":
            return _Found([], granted=False)
        case b"MORE":
            return _Found([], is_more=True)
    return _Found([], due_in=int(reply[1]) / 1e6 if reply[1] else None)
