"""What the claim queue and the due timer send to a shard."""

from collections.abc import Sequence
from typing import Any

from converge_redis.core.durations import optional_seconds
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation
from converge_redis.core.scripts import Script
from converge_redis.tasks.claim_filter import ClaimFilter, filter_id

_RENEW_CLAIMERS = Script("tasks/renew_claimers")
_LEAVE_CLAIM_QUEUE = Script("tasks/leave_claim_queue")
_WAKE_NEXT_CLAIMER = Script("tasks/wake_next_claimer")
_APPLY_DUE = Script("tasks/apply_due")
_CLOSE_CLAIM_QUEUE = Script("tasks/close_claim_queue")

CLAIMERS_PER_SCRIPT = 500


def renew_claimers(
    namespace: Namespace, shard: int, listener: str, claim_filter: ClaimFilter, numbers: Sequence[int]
) -> Operation[tuple[float | None, list[tuple[str, int]]]]:
    """Renew the places in the queue of at most `CLAIMERS_PER_SCRIPT` claimers with one filter.

    Returns:
        The seconds until the listener's due timer is to fire, or None; and the lanes that have work for these
        claimers, each with the number of its tasks.
    """
    args = (listener, filter_id(claim_filter), len(numbers), *numbers, *claim_filter)

    def decode(reply: Sequence[Any]) -> tuple[float | None, list[tuple[str, int]]]:
        lanes = [(reply[i].decode(), int(reply[i + 1])) for i in range(2, len(reply), 2)]
        return optional_seconds(reply[1]), lanes

    return Operation(_RENEW_CLAIMERS, namespace.keys.shard(shard), args, decode)


def leave_claim_queue(
    namespace: Namespace, shard: int, listener: str, claim_filter: ClaimFilter, numbers: Sequence[int]
) -> Operation[None]:
    """Remove at most `CLAIMERS_PER_SCRIPT` claimers with one filter from the queue."""
    args: tuple[Argument, ...] = (listener, filter_id(claim_filter), *numbers)
    return Operation(_LEAVE_CLAIM_QUEUE, namespace.keys.shard(shard), args, _ignore)


def wake_next_claimer(namespace: Namespace, shard: int, lane: str) -> Operation[None]:
    """Wake another claimer for a lane, in place of one that no longer waits."""
    return Operation(_WAKE_NEXT_CLAIMER, namespace.keys.shard(shard), (lane,), _ignore)


def apply_due(namespace: Namespace, shard: int, listener: str) -> Operation[float | None]:
    """Apply what is due in a shard; returns the seconds until the next time, or None."""
    return Operation(
        _APPLY_DUE, namespace.keys.shard(shard), (listener,), lambda reply: optional_seconds(reply[1])
    )


def close_claim_queue(namespace: Namespace, shard: int, listener: str) -> Operation[None]:
    """Unregister a listener that closes."""
    return Operation(_CLOSE_CLAIM_QUEUE, namespace.keys.shard(shard), (listener,), _ignore)


def _ignore(_reply: Any) -> None:
    return None
