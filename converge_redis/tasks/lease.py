"""Verbs of an agent that holds a claim: start, extend_claim, release."""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_id, check_integer, check_seconds
from converge_redis.errors import ClaimLostError, NotAuthorizedError, StoreReplyError
from converge_redis.tasks.constraints import microseconds
from converge_redis.tasks.replies import refused

_START = Script("tasks/start")
_EXTEND_CLAIM = Script("tasks/extend_claim")
_RELEASE = Script("tasks/release")

_log = logging.getLogger("converge_redis")


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
        space.keys.shard_with(check_id("task_id", task_id)),
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
        space.keys.shard_with(check_id("task_id", task_id)),
        (task_id, *holder(agent_id, claim_token)),
        lambda reply: reply[1][0] == b"EXTENDED",
    )


Claim = tuple[str, str, int]  # task id, agent id, claim token


def extend_claims(
    space: Namespace, shard: int, claims: Sequence[Claim]
) -> Operation[list[float | NotAuthorizedError | None]]:
    """Renew the leases of claims on tasks of one shard.

    Returns:
        For each claim the seconds until its lease ends, None where it has none, or why it is lost.
    """

    def read(reply: Sequence[Any]) -> list[float | NotAuthorizedError | None]:
        return [_read_extended(claim, outcome) for claim, outcome in zip(claims, reply[1:], strict=True)]

    arguments = tuple(part for claim in claims for part in claim)
    return Operation(_EXTEND_CLAIM, space.keys.shard(shard), arguments, read)


def _read_extended(claim: Claim, outcome: Sequence[Any]) -> float | NotAuthorizedError | None:
    task_id, agent_id, _ = claim
    if outcome[0] == b"EXTENDED":
        return int(outcome[1]) / 1e6 if outcome[1] else None
    if outcome[0] in {b"UNKNOWN", b"UNREADABLE"}:
        why = "there is no such task any more" if outcome[0] == b"UNKNOWN" else "its record cannot be read"
        return ClaimLostError(f"agent {agent_id!r} has lost task {task_id!r}: {why}")
    return refused("extend", agent_id, task_id, outcome)


def release(
    space: Namespace,
    agent_id: str,
    task_id: str,
    *,
    delay: float = 0.0,
    claim_token: int | None = None,
    count_attempt: bool = False,
) -> Operation[bool]:
    """Give a claim back: the task becomes pending again.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        delay: Seconds until the task can be claimed again.
        claim_token: The token of the claim (`Task.claim_token`); None: the agent id is enough.
        count_attempt: Whether the claim counts in `Task.attempts`, as one that has failed.

    Returns:
        True; False, with a warning in the log, when the task is unknown.

    Raises:
        NotAuthorizedError: The agent does not hold the claim; `ClaimLostError` when it did once,
            `TaskCancelledError` when the task was cancelled meanwhile.
    """
    delay_us = microseconds(check_seconds("delay", delay, zero=True))
    return Operation(
        _RELEASE,
        space.keys.shard_with(check_id("task_id", task_id)),
        (call_id(), task_id, *holder(agent_id, claim_token), delay_us, int(bool(count_attempt))),
        holders_answer("release", b"RELEASED", agent_id, task_id),
    )


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
    if reply[0] == b"UNREADABLE":
        raise StoreReplyError(f"task {task_id!r} is stored in a form that cannot be read")
    raise refused(verb, agent_id, task_id, reply)
