"""The holder of a claim: start, extend_claim, release."""

from collections.abc import Sequence
from typing import Any

from converge_redis.core.durations import microseconds
from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_id, validate_seconds
from converge_redis.errors import ClaimLostError, NotAuthorizedError
from converge_redis.tasks.replies import HolderReply, holder_args, refusal_error

_START = Script("tasks/start")
_EXTEND_CLAIM = Script("tasks/extend_claim")
_RELEASE = Script("tasks/release")


def start(
    namespace: Namespace, agent_id: str, task_id: str, *, claim_token: int | None = None
) -> Operation[bool]:
    """Begin the work on a claimed task; the task becomes running.

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
        namespace.keys.shard_with(validate_id("task_id", task_id)),
        (task_id, *holder_args(agent_id, claim_token)),
        HolderReply("start", b"STARTED", agent_id, task_id),
    )


def extend_claim(
    namespace: Namespace, agent_id: str, task_id: str, *, claim_token: int | None = None
) -> Operation[bool]:
    """Renew the lease of a claim: it then ends ``claim_ttl_sec`` after the server's current time.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        claim_token: The token of the claim (`Task.claim_token`); None: the agent id is enough.

    Returns:
        True; False once the claim is lost, or the task is cancelled, finished or unknown: drop the work.
    """
    return Operation(
        _EXTEND_CLAIM,
        namespace.keys.shard_with(validate_id("task_id", task_id)),
        (task_id, *holder_args(agent_id, claim_token)),
        lambda reply: reply[1][0] == b"EXTENDED",
    )


Claim = tuple[str, str, int]  # task id, agent id, claim token


def extend_claims(
    namespace: Namespace, shard: int, claims: Sequence[Claim]
) -> Operation[list[float | NotAuthorizedError | None]]:
    """Renew the leases of claims on tasks of one shard.

    Returns:
        For each claim the seconds until its lease ends; None where it has no lease; or why it is lost.
    """

    def decode(reply: Sequence[Any]) -> list[float | NotAuthorizedError | None]:
        return [_decode_extended(claim, outcome) for claim, outcome in zip(claims, reply[1:], strict=True)]

    arguments = tuple(part for claim in claims for part in claim)
    return Operation(_EXTEND_CLAIM, namespace.keys.shard(shard), arguments, decode)


def _decode_extended(claim: Claim, outcome: Sequence[Any]) -> float | NotAuthorizedError | None:
    task_id, agent_id, _ = claim
    if outcome[0] == b"EXTENDED":
        return int(outcome[1]) / 1e6 if outcome[1] else None
    if outcome[0] in {b"UNKNOWN", b"UNREADABLE"}:
        why = "it was deleted" if outcome[0] == b"UNKNOWN" else "its record cannot be read"
        message = f"agent {agent_id!r} has lost task {task_id!r}: {why}"
        return ClaimLostError(message, "claim_lost", agent_id, task_id)
    return refusal_error("extend", agent_id, task_id, outcome)


def release(
    namespace: Namespace,
    agent_id: str,
    task_id: str,
    *,
    delay: float = 0.0,
    claim_token: int | None = None,
    count_attempt: bool = False,
) -> Operation[bool]:
    """Release a claim: the task becomes pending again.

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
    delay_us = microseconds(validate_seconds("delay", delay, zero=True))
    return Operation(
        _RELEASE,
        namespace.keys.shard_with(validate_id("task_id", task_id)),
        (call_id(), task_id, *holder_args(agent_id, claim_token), delay_us, int(bool(count_attempt))),
        HolderReply("release", b"RELEASED", agent_id, task_id),
    )
