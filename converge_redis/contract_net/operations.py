"""Verbs of the Contract Net: a call for proposals, and an award that is a claim.

The protocol is FIPA's (Contract Net Interaction Protocol Specification, SC00029H, 2002), after Smith (The
Contract Net Protocol, 1980).
"""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from converge_redis.contract_net.model import CallForProposals, CallState, ContractProposal
from converge_redis.core.codec import decode, encode
from converge_redis.core.ids import call_id
from converge_redis.core.keys import encoded
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask, ask_all
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import (
    LEAST_RETENTION,
    done,
    fields_of,
    microseconds,
    text_of,
    time_of,
)
from converge_redis.core.validation import check_id, check_ids, check_seconds
from converge_redis.errors import InvalidValueError, PoolNotFoundError
from converge_redis.notifications.watching import Watched, read_look, wait_for, wait_for_one
from converge_redis.pools.operations import get_pool
from converge_redis.tasks.model import Task
from converge_redis.tasks.submit import submit
from converge_redis.tasks.waiters import Look

_CALL = Script("contract_net/call")
_REPLY_TO_CALL = Script("contract_net/reply_to_call")
_ACCEPT_PROPOSAL = Script("contract_net/accept_proposal")
_GET_CALL = Script("contract_net/get_call")
_CALLS_FOR = Script("contract_net/calls_for")

MOST_INVITEES = 1000

_REASONS = {
    "not_invited": "the agent is not invited",
    "not_initiator": "it is up to the agent that has called",
    "no_proposal": "the agent has not proposed",
    "no_task": "the task is unknown",
    "not_pending": "the task is not pending any more",
}


def call(
    space: Namespace,
    initiator_id: str,
    task: Task,
    invitees: Iterable[str] | None = None,
    *,
    pool_id: str | None = None,
    reply_by: float,
    award_within: float = 60.0,
) -> Steps[str]:
    """Submit a task, and call for proposals to do it.

    Nobody can claim the task while it is to be awarded; when the call lapses, all can who otherwise may.

    Args:
        initiator_id: The agent that calls.
        task: The task.
        invitees: The agents that may propose, up to 1000.
        pool_id: A pool instead, whose members at the time of the call may propose.
        reply_by: Seconds for replies; later ones are refused.
        award_within: Seconds after that for `accept`, until the call lapses.

    Returns:
        The id of the task, by which the call is known too.

    Raises:
        PoolNotFoundError: There is no such pool.
        InvalidTypeError, InvalidValueError: An argument is malformed, or nobody is invited.
        TaskExistsError, PayloadTooLargeError: As of ``TaskManager.submit``.
    """
    check_id("initiator_id", initiator_id)
    seconds = check_seconds("reply_by", reply_by)
    lapses = seconds + check_seconds("award_within", award_within)
    if (invitees is None) == (pool_id is None):
        raise InvalidValueError("either invitees or pool_id must be given")
    if pool_id is not None:
        pool = yield from get_pool(space, pool_id)
        if pool is None:
            raise PoolNotFoundError(f"there is no pool {pool_id!r}; create it with create_pool")
        invitees = [agent for agent in pool.members if agent != initiator_id]
    agents = list(dict.fromkeys(check_ids("invitees", invitees)))
    if not 1 <= len(agents) <= MOST_INVITEES:
        raise InvalidValueError(f"invitees must be 1 to {MOST_INVITEES} agents, not {len(agents)}")
    task_id = yield from ask(submit(space, task, delay=lapses))
    arguments: tuple[Argument, ...] = (
        task_id,
        encoded(initiator_id),
        "," + ",".join(encoded(agent) for agent in agents) + ",",
        microseconds(seconds),
        microseconds(lapses),
        microseconds(max(space.retention_sec, LEAST_RETENTION)),
    )
    yield from ask(Operation(_CALL, space.keys.shard_with(task_id), arguments, lambda _reply: None))
    return task_id


def propose(
    space: Namespace, task_id: str, agent_id: str, content: Any = None, *, strict: bool = False
) -> Operation[bool]:
    """Propose to do a task; a later reply of the same agent takes its place.

    Args:
        task_id: The task.
        agent_id: The agent that proposes.
        content: What it proposes, such as a price or a time.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the call is unknown or over, the agent is not invited, or it is too late.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_invited"`` or ``"late"``.
        PayloadTooLargeError: The proposal exceeds the store's ``payload_limit``.
    """
    return _reply(space, task_id, agent_id, "proposed", content, strict)


def refuse(
    space: Namespace, task_id: str, agent_id: str, content: Any = None, *, strict: bool = False
) -> Operation[bool]:
    """Tell that an agent will not do a task; it takes back what it has proposed.

    Args:
        task_id: The task.
        agent_id: The agent that refuses.
        content: Why.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the call is unknown or over, the agent is not invited, or it is too late.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_invited"`` or ``"late"``.
        PayloadTooLargeError: The content exceeds the store's ``payload_limit``.
    """
    return _reply(space, task_id, agent_id, "refused", content, strict)


def _reply(
    space: Namespace, task_id: str, agent_id: str, kind: str, content: Any, strict: bool
) -> Operation[bool]:
    check_id("task_id", task_id)
    agent = encoded(check_id("agent_id", agent_id))
    data = encode("content", content, space.payload_limit)
    read = done(f"the reply of agent {agent_id!r} to the call for task {task_id!r}", _REASONS, strict)
    arguments = (call_id(), task_id, agent, kind, data)
    return Operation(_REPLY_TO_CALL, space.keys.shard_with(task_id), arguments, read)


def accept(
    space: Namespace,
    task_id: str,
    contractor_id: str,
    *,
    initiator_id: str | None = None,
    strict: bool = False,
) -> Operation[bool]:
    """Award a task to an agent that has proposed: it holds the claim from then on; all others are told.

    The contractor finds its claim, with the token, by ``TaskManager.my_claims``.

    Args:
        task_id: The task.
        contractor_id: The agent whose proposal is accepted.
        initiator_id: Who accepts, which has to be the agent that has called; None: not said, nor checked.
        strict: Raise an error instead of returning False.

    Returns:
        True, also when it was done before; False when the call is unknown or over, the agent has not
        proposed, or the task is not pending.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_initiator"``, ``"no_proposal"``,
            ``"late"``, ``"no_task"`` or ``"not_pending"``.
    """
    check_id("task_id", task_id)
    check_id("contractor_id", contractor_id)
    by = "" if initiator_id is None else encoded(check_id("initiator_id", initiator_id))
    read = done(f"the award of task {task_id!r} to agent {contractor_id!r}", _REASONS, strict)
    arguments = (call_id(), task_id, contractor_id, encoded(contractor_id), by)
    return Operation(_ACCEPT_PROPOSAL, space.keys.shard_with(task_id), arguments, read)


def get_call(space: Namespace, task_id: str) -> Operation[CallForProposals | None]:
    """Read a call for proposals.

    Args:
        task_id: The task.

    Returns:
        A snapshot; None when there is no such call, or no more.
    """
    check_id("task_id", task_id)
    return Operation(
        _GET_CALL,
        space.keys.shard_with(task_id),
        (task_id, "", ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _read_call(task_id, reply),
    )


def wait_for_replies(space: Namespace, task_id: str, timeout: float | None) -> Steps[CallForProposals | None]:
    """Wait until all invitees have replied, or the time for it is over; nothing is polled meanwhile.

    Args:
        task_id: The task.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot with the replies; None when the time is up, or there is no such call.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    return _wait(space, task_id, "replies", timeout)


def wait_for_award(space: Namespace, task_id: str, timeout: float | None) -> Steps[CallForProposals | None]:
    """Wait until a task is awarded, or the call for it has lapsed; nothing is polled meanwhile.

    Args:
        task_id: The task.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        A snapshot that names the contractor, if there is one; None when the time is up, or there is no such
        call.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    return _wait(space, task_id, "award", timeout)


def _wait(space: Namespace, task_id: str, what: str, timeout: float | None) -> Steps[CallForProposals | None]:
    check_id("task_id", task_id)
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)

    def look(listener: str) -> Operation[Look[CallForProposals]]:
        read = partial(read_look, read=partial(_read_call, task_id))
        return Operation(_GET_CALL, space.keys.shard_with(task_id), (task_id, listener, what), read)

    shard = space.keys.shard_of(task_id)
    return (yield from wait_for(Watched(shard, f"contract:{task_id}", look), timeout))


def calls_for(space: Namespace, agent_id: str) -> Steps[list[str]]:
    """List the calls that an agent is invited to and has not replied to, while it may.

    Args:
        agent_id: The agent.

    Returns:
        The ids of the tasks, the ones first that lapse first.
    """
    agent = encoded(check_id("agent_id", agent_id))
    found = yield from ask_all(
        [
            Operation(_CALLS_FOR, space.keys.shard(shard), (agent, ""), _read_ids)
            for shard in range(space.shards)
        ]
    )
    return [task_id for of_shard in found for task_id in of_shard]


def wait_for_call(space: Namespace, agent_id: str, timeout: float | None) -> Steps[str | None]:
    """Wait until there is a call that an agent may reply to, and has not; nothing is polled meanwhile.

    Args:
        agent_id: The agent.
        timeout: The most seconds to wait; None: no limit.

    Returns:
        The id of the task; None when the time is up.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    agent = encoded(check_id("agent_id", agent_id))
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)

    def look_in(shard: int) -> Watched[list[str]]:
        def look(listener: str) -> Operation[Look[list[str]]]:
            read = partial(read_look, read=_read_ids)
            return Operation(_CALLS_FOR, space.keys.shard(shard), (agent, listener), read)

        return Watched(shard, f"calls:{agent}", look)

    found = yield from wait_for_one([look_in(shard) for shard in range(space.shards)], timeout)
    return found[0] if found else None


def _read_ids(reply: Sequence[bytes]) -> list[str]:
    return [task_id.decode() for task_id in reply[1:]]


def _read_call(task_id: str, reply: Sequence[Any]) -> CallForProposals:
    told = fields_of(reply[2:])
    proposals: list[ContractProposal] = []
    refusals: dict[str, Any] = {}
    for i in range(0, len(reply[1]), 2):
        agent = unquote(reply[1][i].decode())
        kind, _, at, content = reply[1][i + 1].split(b" ", 3)
        if kind == b"proposed":
            proposals.append(ContractProposal(agent, decode(content), int(at) / 1e6))
        else:
            refusals[agent] = decode(content)
    contractor = text_of(told, "contractor")
    return CallForProposals(
        task_id=task_id,
        initiator_id=unquote(told["initiator"].decode()),
        invitees=[unquote(agent) for agent in told["invitees"].decode().split(",") if agent],
        state=CallState(told["state"].decode()),
        opened_at=int(told["opened"]) / 1e6,
        reply_by=int(told["closes"]) / 1e6,
        lapses_at=int(told["lapses"]) / 1e6,
        ended_at=time_of(told, "ended"),
        proposals=sorted(proposals, key=lambda proposal: (proposal.timestamp, proposal.agent_id)),
        refusals=refusals,
        contractor_id=None if contractor is None else unquote(contractor),
    )
