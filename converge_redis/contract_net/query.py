"""Reading calls for proposals: get_call, list_calls, and waiting for replies, awards and calls."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from converge_redis.contract_net.model import CallForProposals, CallState, ContractProposal
from converge_redis.core.codec import decode
from converge_redis.core.keys import encode_part
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Procedure, send_all
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import decode_fields, decode_text, decode_time
from converge_redis.core.validation import validate_id, validate_integer, validate_seconds
from converge_redis.notifications.waiters import Observation
from converge_redis.notifications.watchers import WatchedKey, read_observation, wait_for, wait_for_one

_GET_CALL = Script("contract_net/get_call")
_LIST_CALLS = Script("contract_net/list_calls")

NO_LIMIT = 2**53


def get_call(namespace: Namespace, task_id: str) -> Operation[CallForProposals | None]:
    """Read a call for proposals.

    Args:
        task_id: The task.

    Returns:
        A snapshot; None when there is no such call, or it was deleted after its retention.
    """
    validate_id("task_id", task_id)
    return Operation(
        _GET_CALL,
        namespace.keys.shard_with(task_id),
        (task_id, "", ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _decode_call(task_id, reply),
    )


def wait_for_replies(
    namespace: Namespace, task_id: str, timeout: float | None = None
) -> Procedure[CallForProposals | None]:
    """Wait until all invitees have replied, or the time for replies is over; the server wakes the call.

    Args:
        task_id: The task.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot with the replies; None when the time is up, or there is no such call.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    return _wait(namespace, task_id, "replies", timeout)


def wait_for_award(
    namespace: Namespace, task_id: str, timeout: float | None = None
) -> Procedure[CallForProposals | None]:
    """Wait until a task is awarded, or the call for it has lapsed; the server wakes the call.

    Args:
        task_id: The task.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot with the contractor, if there is one; None when the time is up, or there is no such call.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    return _wait(namespace, task_id, "award", timeout)


def _wait(
    namespace: Namespace, task_id: str, event: str, timeout: float | None
) -> Procedure[CallForProposals | None]:
    validate_id("task_id", task_id)
    if timeout is not None:
        validate_seconds("timeout", timeout, zero=True)

    def read_and_watch(listener: str) -> Operation[Observation[CallForProposals]]:
        decode = partial(read_observation, decode=partial(_decode_call, task_id))
        return Operation(_GET_CALL, namespace.keys.shard_with(task_id), (task_id, listener, event), decode)

    shard = namespace.keys.shard_of(task_id)
    return (yield from wait_for(WatchedKey(shard, f"contract:{task_id}", read_and_watch), timeout))


def list_calls(namespace: Namespace, agent_id: str, *, limit: int | None = None) -> Procedure[list[str]]:
    """List the open calls that invite an agent and to which it has not replied.

    Args:
        agent_id: The agent.
        limit: The most calls to list; None: all.

    Returns:
        The ids of the tasks; of each shard, those whose calls lapse first come first.
    """
    agent = encode_part(validate_id("agent_id", agent_id))
    max_calls = NO_LIMIT if limit is None else validate_integer("limit", limit, 1, NO_LIMIT)
    found = yield from send_all(
        [
            Operation(_LIST_CALLS, namespace.keys.shard(shard), (agent, ""), _decode_ids)
            for shard in range(namespace.shards)
        ]
    )
    return [task_id for ids in found for task_id in ids][:max_calls]


def wait_for_call(namespace: Namespace, agent_id: str, timeout: float | None = None) -> Procedure[str | None]:
    """Wait until there is a call to which an agent may reply, and has not; the server wakes the call.

    Args:
        agent_id: The agent.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        The id of the task; None when the time is up.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    agent = encode_part(validate_id("agent_id", agent_id))
    if timeout is not None:
        validate_seconds("timeout", timeout, zero=True)

    def calls_in(shard: int) -> WatchedKey[list[str]]:
        def read_and_watch(listener: str) -> Operation[Observation[list[str]]]:
            decode = partial(read_observation, decode=_decode_ids)
            return Operation(_LIST_CALLS, namespace.keys.shard(shard), (agent, listener), decode)

        return WatchedKey(shard, f"calls:{agent}", read_and_watch)

    found = yield from wait_for_one([calls_in(shard) for shard in range(namespace.shards)], timeout)
    return found[0] if found else None


def _decode_ids(reply: Sequence[bytes]) -> list[str]:
    return [task_id.decode() for task_id in reply[1:]]


def _decode_call(task_id: str, reply: Sequence[Any]) -> CallForProposals:
    fields = decode_fields(reply[2:])
    proposals: list[ContractProposal] = []
    refusals: dict[str, Any] = {}
    for i in range(0, len(reply[1]), 2):
        agent = unquote(reply[1][i].decode())
        kind, _, replied_at, content = reply[1][i + 1].split(b" ", 3)
        if kind == b"proposed":
            proposals.append(ContractProposal(agent, decode(content), int(replied_at) / 1e6))
        else:
            refusals[agent] = decode(content)
    contractor = decode_text(fields, "contractor")
    return CallForProposals(
        task_id=task_id,
        initiator_id=unquote(fields["initiator"].decode()),
        invitees=[unquote(agent) for agent in fields["invitees"].decode().split(",") if agent],
        state=CallState(fields["state"].decode()),
        opened_at=int(fields["opened"]) / 1e6,
        reply_by=int(fields["closes"]) / 1e6,
        lapses_at=int(fields["lapses"]) / 1e6,
        ended_at=decode_time(fields, "ended"),
        proposals=sorted(proposals, key=lambda proposal: (proposal.timestamp, proposal.agent_id)),
        refusals=refusals,
        contractor_id=None if contractor is None else unquote(contractor),
    )
