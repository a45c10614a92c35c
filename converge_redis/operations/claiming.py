"""Verbs about claims: claim, claim_next, start, extend_claim, release, release_expired_claims."""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from typing import Any

from converge_redis.checks import check_id, check_ids, check_integer, check_seconds, shown
from converge_redis.constraints import microseconds
from converge_redis.errors import InvalidTypeError, InvalidValueError, StoreUnavailableError
from converge_redis.identifiers import call_id
from converge_redis.keys import in_order
from converge_redis.namespace import Namespace
from converge_redis.operation import Argument, Listening, Operation, Steps, ask, listen
from converge_redis.operations.task_replies import read_task, refused
from converge_redis.scripts import Script
from converge_redis.task import Task

_CLAIM = Script("task/claim")
_CLAIM_NEXT = Script("task/claim_next")
_START = Script("task/start")
_EXTEND_CLAIM = Script("task/extend_claim")
_RELEASE = Script("task/release")
_RELEASE_EXPIRED_CLAIMS = Script("task/release_expired_claims")

MOST_CLAIMS_AT_ONCE = 1000
EXPIRED_CLAIMS_PER_SCRIPT = 100

_log = logging.getLogger("converge_redis")


def claim(space: Namespace, agent_id: str, task_id: str) -> Operation[bool]:
    """Claim one task: of all processes that try, one gets it.

    Args:
        agent_id: The agent that claims.
        task_id: The task's id.

    Returns:
        True; False when the task is unknown, not pending, or delayed. An expired claim counts as pending.
    """
    check_id("agent_id", agent_id)
    check_id("task_id", task_id)
    return Operation(
        _CLAIM,
        space.keys.tasks_of(task_id),
        (call_id(), task_id, agent_id),
        lambda reply: reply[0] == b"CLAIMED",
    )


def claim_next(
    space: Namespace,
    agent_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
    *,
    count: int = 1,
    wait: float = 0.0,
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

    Returns:
        The claimed tasks with their claim tokens, best first; an empty list when there is none.
    """
    check_id("agent_id", agent_id)
    check_integer("count", count, 1, MOST_CLAIMS_AT_ONCE)
    check_seconds("wait", wait, zero=True)
    visible = visible_lanes(pool_ids, capabilities, topics)
    ends = time.monotonic() + wait
    tasks, due = yield from _claim_now(space, agent_id, visible, count)
    heard: int | None = None
    while not tasks and (left := ends - time.monotonic()) > 0:
        # Announcements are counted before the claim that may miss them, so that none falls in between.
        heard = yield from listen(partial(_work, heard, left if due is None else min(left, due)))
        tasks, due = yield from _claim_now(space, agent_id, visible, count)
    return tasks


async def _work(heard: int | None, seconds: float, listener: Listening) -> int:
    return await listener.work_after(heard, seconds)


_turns = itertools.count()


def _claim_now(
    space: Namespace, agent_id: str, visible: tuple[Argument, ...], count: int
) -> Steps[tuple[list[Task], float | None]]:
    """Claim what there is, shard after shard; also returns the seconds until a delay or lease ends."""
    first = next(_turns)
    tasks: list[Task] = []
    dues: list[float] = []
    for turn in range(space.shards):
        shard = (first + turn) % space.shards
        start = (call_id(), agent_id, count - len(tasks))
        operation = Operation(
            _CLAIM_NEXT,
            space.keys.tasks(shard),
            (*start, "first", *visible),
            _read_claimed,
            args_again=(*start, "again", *visible),
        )
        try:
            found, due = yield from ask(operation)
        except StoreUnavailableError:
            if tasks:
                break  # those of the other shards are claimed: the caller must have them
            raise
        tasks += found
        if due is not None:
            dues.append(due)
        if len(tasks) == count:
            break
    return tasks, min(dues, default=None)


def _read_claimed(reply: Sequence[Any]) -> tuple[list[Task], float | None]:
    if reply[0] == b"CLAIMED":
        return [read_task(row) for row in reply[1:]], None
    return [], int(reply[1]) / 1e6 if reply[1] else None


def visible_lanes(
    pool_ids: Iterable[str] | None, capabilities: Iterable[str] | None, topics: Iterable[str] | None
) -> tuple[Argument, ...]:
    """Lay out which lanes an agent may claim from, as ``lua/shared/lanes.lua`` reads it.

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


def start(
    space: Namespace, agent_id: str, task_id: str, *, claim_token: int | None = None
) -> Operation[bool]:
    """Say that the work on a claimed task has begun; the task becomes running.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        claim_token: The token of the claim (`Task.claim_token`); None: the agent id is enough.

    Returns:
        True, also when it was running already; False, with a warning in the log, when the task is unknown.

    Raises:
        NotAuthorizedError: The agent does not hold the claim; `ClaimLostError` when it did once,
            `TaskCancelledError` when the task was cancelled meanwhile.
    """
    return Operation(
        _START,
        space.keys.tasks_of(check_id("task_id", task_id)),
        (task_id, *holder(agent_id, claim_token)),
        holders_answer("start", b"STARTED", agent_id, task_id),
    )


def extend_claim(
    space: Namespace, agent_id: str, task_id: str, *, claim_token: int | None = None
) -> Operation[bool]:
    """Renew the lease of a claim: it then ends ``claim_ttl_sec`` after the server's now.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        claim_token: The token of the claim (`Task.claim_token`); None: the agent id is enough.

    Returns:
        True; False once the claim is lost, or the task is cancelled, finished or unknown: drop the work.
    """
    return Operation(
        _EXTEND_CLAIM,
        space.keys.tasks_of(check_id("task_id", task_id)),
        (task_id, *holder(agent_id, claim_token)),
        lambda reply: reply[0] == b"EXTENDED",
    )


def release(
    space: Namespace,
    agent_id: str,
    task_id: str,
    *,
    delay: float = 0.0,
    claim_token: int | None = None,
) -> Operation[bool]:
    """Give a claim back: the task becomes pending again, and the attempt does not count.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        delay: Seconds until the task can be claimed again.
        claim_token: The token of the claim (`Task.claim_token`); None: the agent id is enough.

    Returns:
        True; False, with a warning in the log, when the task is unknown.

    Raises:
        NotAuthorizedError: The agent does not hold the claim; `ClaimLostError` when it did once,
            `TaskCancelledError` when the task was cancelled meanwhile.
    """
    delay_us = microseconds(check_seconds("delay", delay, zero=True))
    return Operation(
        _RELEASE,
        space.keys.tasks_of(check_id("task_id", task_id)),
        (call_id(), task_id, *holder(agent_id, claim_token), delay_us),
        holders_answer("release", b"RELEASED", agent_id, task_id),
    )


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
                    space.keys.tasks(shard),
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


def holder(agent_id: str, claim_token: int | None) -> tuple[str, Argument]:
    """Check and lay out who claims to hold a task: agent id, and claim token or an empty string."""
    check_id("agent_id", agent_id)
    if claim_token is None:
        return agent_id, ""
    return agent_id, check_integer("claim_token", claim_token, 0, 2**53)


def holders_answer(verb: str, done: bytes, agent_id: str, task_id: str) -> Callable[[Sequence[Any]], bool]:
    """Return how to read the reply to a holder's verb: True, False for an unknown task, or a refusal."""
    return partial(_read_holders_answer, verb, done, agent_id, task_id)


def _read_holders_answer(verb: str, done: bytes, agent_id: str, task_id: str, reply: Sequence[Any]) -> bool:
    if reply[0] == done:
        return True
    if reply[0] == b"UNKNOWN":
        _log.warning("agent %r cannot %s task %r: there is no such task", agent_id, verb, task_id)
        return False
    raise refused(verb, agent_id, task_id, reply)
