"""Operations of the Contract Net: call, propose, refuse, accept; the award is a claim on the task.

The protocol is FIPA's (Contract Net Interaction Protocol Specification, SC00029H, 2002), after Smith (The
Contract Net Protocol, 1980).
"""

from collections.abc import Iterable
from typing import Any

from converge_redis.core.codec import encode
from converge_redis.core.durations import microseconds
from converge_redis.core.ids import call_id
from converge_redis.core.keys import encode_part
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import MIN_RETENTION, accepted
from converge_redis.core.validation import validate_id, validate_ids, validate_seconds
from converge_redis.errors import InvalidValueError, PoolNotFoundError
from converge_redis.pools.admission import PoolContext
from converge_redis.pools.operations import get_pool
from converge_redis.tasks.model import Task
from converge_redis.tasks.submit import submit

_CALL = Script("contract_net/call")
_REPLY_TO_CALL = Script("contract_net/reply_to_call")
_ACCEPT_PROPOSAL = Script("contract_net/accept_proposal")

MAX_INVITEES = 1000

_REFUSALS = {
    "not_invited": "the agent is not invited",
    "not_initiator": "the agent is not the initiator of the call",
    "no_proposal": "the agent has made no proposal",
    "no_task": "the task is unknown",
    "not_pending": "the task is no longer pending",
}


def call(
    namespace: Namespace,
    initiator_id: str,
    task: Task,
    invitees: Iterable[str] | None = None,
    *,
    pool_id: str | None = None,
    reply_within_sec: float,
    award_within_sec: float = 60.0,
) -> Procedure[str]:
    """Submit a task, and call for proposals to do it.

    The task cannot be claimed until it is awarded, or the call lapses.

    Args:
        initiator_id: The agent that calls.
        task: The task.
        invitees: The agents that may propose, up to 1000.
        pool_id: A pool instead, whose members at the time of the call may propose.
        reply_within_sec: Seconds for replies; later ones are refused.
        award_within_sec: Seconds after that for `accept`, until the call lapses.

    Returns:
        The id of the task, which is the id of the call too.

    Raises:
        PoolNotFoundError: There is no such pool.
        InvalidTypeError, InvalidValueError: An argument is malformed, or no agent is invited.
        TaskExistsError, PayloadTooLargeError: As of ``TaskManager.submit``.
    """
    validate_id("initiator_id", initiator_id)
    closes_in = validate_seconds("reply_within_sec", reply_within_sec)
    lapses_in = closes_in + validate_seconds("award_within_sec", award_within_sec)
    if (invitees is None) == (pool_id is None):
        raise InvalidValueError("either invitees or pool_id must be given")
    if pool_id is not None:
        pool = yield from get_pool(PoolContext(namespace), pool_id)
        if pool is None:
            raise PoolNotFoundError(f"there is no pool {pool_id!r}; create it with create_pool", pool_id)
        invitees = [agent for agent in pool.members if agent != initiator_id]
    agents = list(dict.fromkeys(validate_ids("invitees", invitees)))
    if not 1 <= len(agents) <= MAX_INVITEES:
        raise InvalidValueError(f"invitees must be 1 to {MAX_INVITEES} agents, not {len(agents)}")
    task_id = yield from send(submit(namespace, task, delay=lapses_in))
    arguments: tuple[Argument, ...] = (
        task_id,
        encode_part(initiator_id),
        "," + ",".join(encode_part(agent) for agent in agents) + ",",
        microseconds(closes_in),
        microseconds(lapses_in),
        microseconds(max(namespace.retention_sec, MIN_RETENTION)),
    )
    yield from send(Operation(_CALL, namespace.keys.shard_with(task_id), arguments, lambda _reply: None))
    return task_id


def propose(
    namespace: Namespace, task_id: str, agent_id: str, content: Any = None, *, strict: bool = False
) -> Operation[bool]:
    """Propose to do a task; a later reply of the same agent replaces this one.

    Args:
        task_id: The task.
        agent_id: The agent that proposes.
        content: The content of the proposal, such as a price or a time.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the call is unknown or over, the agent is not invited, or it is too late.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_invited"`` or ``"late"``.
        PayloadTooLargeError: The proposal exceeds the store's ``payload_limit``.
    """
    return _reply(namespace, task_id, agent_id, "proposed", content, strict)


def refuse(
    namespace: Namespace, task_id: str, agent_id: str, content: Any = None, *, strict: bool = False
) -> Operation[bool]:
    """Decline to do a task; this replaces an earlier proposal of the agent.

    Args:
        task_id: The task.
        agent_id: The agent that refuses.
        content: The reason: any payload.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the call is unknown or over, the agent is not invited, or it is too late.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_invited"`` or ``"late"``.
        PayloadTooLargeError: The content exceeds the store's ``payload_limit``.
    """
    return _reply(namespace, task_id, agent_id, "refused", content, strict)


def _reply(
    namespace: Namespace, task_id: str, agent_id: str, kind: str, content: Any, strict: bool
) -> Operation[bool]:
    validate_id("task_id", task_id)
    agent = encode_part(validate_id("agent_id", agent_id))
    data = encode("content", content, namespace.payload_limit)
    action = f"the reply of agent {agent_id!r} to the call for task {task_id!r}"
    decode = accepted(action, _REFUSALS, strict, agent_id)
    arguments = (call_id(), task_id, agent, kind, data)
    return Operation(_REPLY_TO_CALL, namespace.keys.shard_with(task_id), arguments, decode)


def accept(
    namespace: Namespace,
    task_id: str,
    contractor_id: str,
    *,
    by: str | None = None,
    strict: bool = False,
) -> Operation[bool]:
    """Award a task to an agent that has proposed: it holds the claim from then on. All waiters are notified.

    The contractor finds its claim, with the token, by ``TaskManager.list_claims``.

    Args:
        task_id: The task.
        contractor_id: The agent whose proposal is accepted.
        by: The agent that accepts, which must be the initiator of the call; None: not checked.
        strict: Raise an error instead of returning False.

    Returns:
        True, also for a repeated call; False when the call is unknown or over, the agent has not
        proposed, or the task is not pending.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_initiator"``, ``"no_proposal"``,
            ``"late"``, ``"no_task"`` or ``"not_pending"``.
    """
    validate_id("task_id", task_id)
    validate_id("contractor_id", contractor_id)
    initiator = "" if by is None else encode_part(validate_id("by", by))
    action = f"the award of task {task_id!r} to agent {contractor_id!r}"
    decode = accepted(action, _REFUSALS, strict, contractor_id)
    arguments = (call_id(), task_id, contractor_id, encode_part(contractor_id), initiator)
    return Operation(_ACCEPT_PROPOSAL, namespace.keys.shard_with(task_id), arguments, decode)
