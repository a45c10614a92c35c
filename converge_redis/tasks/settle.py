"""Finishing tasks: report, fail_task, cancel_task."""

from collections.abc import Sequence
from typing import Any

from converge_redis.core.codec import encode
from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_id
from converge_redis.errors import ConvergeError, InvalidValueError, NotAuthorizedError, StoreReplyError
from converge_redis.tasks.replies import HolderReply, holder_args, refusal_error

_REPORT = Script("tasks/report")
_FAIL_TASK = Script("tasks/fail_task")
_CANCEL_TASK = Script("tasks/cancel_task")


def report(
    namespace: Namespace, agent_id: str, task_id: str, result: Any, *, claim_token: int | None = None
) -> Operation[bool]:
    """Report the result of a claimed task; the task becomes completed.

    Args:
        agent_id: The agent that holds the claim.
        task_id: The task's id.
        result: Any payload (`converge_redis.core.codec` lists the types).
        claim_token: The token of the claim (`Task.claim_token`). With it, a second process of the same agent,
            or an older claim of it, cannot overwrite the result. None: the agent id is enough.

    Returns:
        True, also for the same report again; False, with a warning in the log, when the task is unknown.

    Raises:
        NotAuthorizedError: The agent does not hold the claim; `ClaimLostError` when it did once,
            `TaskCancelledError` when the task was cancelled meanwhile. The stored state is unchanged.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The result cannot be stored.
    """
    data = encode_result(namespace, result)
    decode = HolderReply("report", b"ACCEPTED", agent_id, task_id)
    return Operation(
        _REPORT,
        namespace.keys.shard_with(validate_id("task_id", task_id)),
        (namespace.max_finished_per_shard, task_id, *holder_args(agent_id, claim_token), data),
        lambda reply: decode(reply[1]),
    )


ResultArgs = tuple[str, str, int, bytes]  # task id, agent id, claim token, encoded result


def report_encoded(
    namespace: Namespace, shard: int, results: Sequence[ResultArgs]
) -> Operation[list[bool | ConvergeError]]:
    """Report the results of claimed tasks of one shard, encoded by `encode_result`.

    Returns:
        For each claim what `report` returns, or the error that it raises.
    """

    def decode(reply: Sequence[Any]) -> list[bool | ConvergeError]:
        return [_decode_report(args, outcome) for args, outcome in zip(results, reply[1:], strict=True)]

    arguments = [part for args in results for part in args]
    return Operation(
        _REPORT, namespace.keys.shard(shard), (namespace.max_finished_per_shard, *arguments), decode
    )


def _decode_report(args: ResultArgs, outcome: Sequence[Any]) -> bool | ConvergeError:
    task_id, agent_id, _, _ = args
    try:
        return HolderReply("report", b"ACCEPTED", agent_id, task_id)(outcome)
    except (NotAuthorizedError, StoreReplyError) as error:
        return error


def encode_result(namespace: Namespace, result: Any) -> bytes:
    """Return a result as it is stored.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: It cannot be stored.
    """
    return encode("result", result, namespace.payload_limit)


def fail_task(
    namespace: Namespace,
    task_id: str,
    reason: Any,
    *,
    agent_id: str | None = None,
    claim_token: int | None = None,
) -> Operation[bool]:
    """Mark a task as failed.

    Args:
        task_id: The task's id.
        reason: Any payload (`converge_redis.core.codec` lists the types); it becomes the task's ``result``.
        agent_id: The agent that holds the claim; None: any caller may fail the task.
        claim_token: The token of the claim (`Task.claim_token`); only together with `agent_id`.

    Returns:
        True; False when the task is unknown, or terminal already: that never changes.

    Raises:
        NotAuthorizedError: `agent_id` is given and does not hold the claim; `ClaimLostError` when it did
            once, `TaskCancelledError` when the task was cancelled meanwhile.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The reason cannot be stored.
    """
    validate_id("task_id", task_id)
    data = encode("reason", reason, namespace.payload_limit)
    if agent_id is None and claim_token is not None:
        raise InvalidValueError(f"claim_token {claim_token!r} needs the agent_id that it belongs to")
    holder = ("", "") if agent_id is None else holder_args(agent_id, claim_token)

    def decode(reply: Sequence[Any]) -> bool:
        if reply[0] in {b"NOT_HOLDER", b"CLAIM_LOST", b"CANCELLED"}:
            raise refusal_error("fail", str(agent_id), task_id, reply)
        return bool(reply[0] == b"FAILED")

    return Operation(
        _FAIL_TASK,
        namespace.keys.shard_with(task_id),
        (call_id(), task_id, *holder, data, namespace.max_finished_per_shard),
        decode,
    )


def cancel_task(namespace: Namespace, task_id: str) -> Operation[bool]:
    """Cancel a task that is not finished; its holder learns of it at its next `extend_claim` or `report`.

    Args:
        task_id: The task's id.

    Returns:
        True; False when the task is unknown, or terminal already.
    """
    validate_id("task_id", task_id)
    return Operation(
        _CANCEL_TASK,
        namespace.keys.shard_with(task_id),
        (call_id(), task_id, namespace.max_finished_per_shard),
        lambda reply: reply[0] == b"CANCELLED",
    )
