"""Verbs that finish tasks: report, fail_task, cancel_task."""

from collections.abc import Sequence
from typing import Any

from converge_redis.core.codec import encode
from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_id
from converge_redis.errors import ConvergeError, InvalidValueError, NotAuthorizedError, StoreReplyError
from converge_redis.tasks.lease import holder, holders_answer
from converge_redis.tasks.replies import refused

_REPORT = Script("tasks/report")
_FAIL_TASK = Script("tasks/fail_task")
_CANCEL_TASK = Script("tasks/cancel_task")


def report(
    space: Namespace, agent_id: str, task_id: str, result: Any, *, claim_token: int | None = None
) -> Operation[bool]:
    """Report the result of a claimed task; the task becomes completed.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        result: What came out: any payload that `converge_redis.core.codec` stores.
        claim_token: The token of the claim (`Task.claim_token`). With it, a second process of the same agent,
            or an older claim of it, cannot overwrite the result. None: the agent id is enough.

    Returns:
        True, also for the same report again; False, with a warning in the log, when the task is unknown.

    Raises:
        NotAuthorizedError: The agent does not hold the claim; `ClaimLostError` when it did once,
            `TaskCancelledError` when the task was cancelled meanwhile. The stored state is unchanged.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The result cannot be stored.
    """
    data = encode_result(space, result)
    read = holders_answer("report", b"ACCEPTED", agent_id, task_id)
    return Operation(
        _REPORT,
        space.keys.shard_with(check_id("task_id", task_id)),
        (space.most_finished, task_id, *holder(agent_id, claim_token), data),
        lambda reply: read(reply[1]),
    )


Claim = tuple[str, str, int, bytes]  # task id, agent id, claim token, result


def reports(space: Namespace, shard: int, claims: Sequence[Claim]) -> Operation[list[bool | ConvergeError]]:
    """Report the results of claimed tasks of one shard, as `encode_result` has made them.

    Returns:
        For each claim what `report` returns, or the error that it raises.
    """

    def read(reply: Sequence[Any]) -> list[bool | ConvergeError]:
        return [_read_report(claim, outcome) for claim, outcome in zip(claims, reply[1:], strict=True)]

    arguments = [part for claim in claims for part in claim]
    return Operation(_REPORT, space.keys.shard(shard), (space.most_finished, *arguments), read)


def _read_report(claim: Claim, outcome: Sequence[Any]) -> bool | ConvergeError:
    task_id, agent_id, _, _ = claim
    try:
        return holders_answer("report", b"ACCEPTED", agent_id, task_id)(outcome)
    except (NotAuthorizedError, StoreReplyError) as error:
        return error


def encode_result(space: Namespace, result: Any) -> bytes:
    """Return a result as it is stored.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: It cannot be stored.
    """
    return encode("result", result, space.payload_limit)


def fail_task(
    space: Namespace,
    task_id: str,
    reason: Any,
    *,
    agent_id: str | None = None,
    claim_token: int | None = None,
) -> Operation[bool]:
    """Mark a task as failed.

    Args:
        task_id: The task's id.
        reason: Why: any payload that `converge_redis.core.codec` stores; it becomes the task's ``result``.
        agent_id: The agent that holds the claim; None: anybody may fail the task.
        claim_token: The token of the claim (`Task.claim_token`); only together with `agent_id`.

    Returns:
        True; False when the task is unknown, or terminal already: that never changes.

    Raises:
        NotAuthorizedError: `agent_id` is given and does not hold the claim; `ClaimLostError` when it did
            once, `TaskCancelledError` when the task was cancelled meanwhile.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The reason cannot be stored.
    """
    check_id("task_id", task_id)
    data = encode("reason", reason, space.payload_limit)
    if agent_id is None and claim_token is not None:
        raise InvalidValueError(f"claim_token {claim_token!r} needs the agent_id that it belongs to")
    who = ("", "") if agent_id is None else holder(agent_id, claim_token)

    def read(reply: Sequence[Any]) -> bool:
        if reply[0] in {b"NOT_HOLDER", b"CLAIM_LOST", b"CANCELLED"}:
            raise refused("fail", str(agent_id), task_id, reply)
        return bool(reply[0] == b"FAILED")

    return Operation(
        _FAIL_TASK,
        space.keys.shard_with(task_id),
        (call_id(), task_id, *who, data, space.most_finished),
        read,
    )


def cancel_task(space: Namespace, task_id: str) -> Operation[bool]:
    """Cancel a task that is not finished; its holder learns of it at its next `extend_claim` or `report`.

    Args:
        task_id: The task's id.

    Returns:
        True; False when the task is unknown, or terminal already.
    """
    check_id("task_id", task_id)
    return Operation(
        _CANCEL_TASK,
        space.keys.shard_with(task_id),
        (call_id(), task_id, space.most_finished),
        lambda reply: reply[0] == b"CANCELLED",
    )
