"""Operations of negotiations: create_session, propose, accept, reject, close."""

from collections.abc import Iterable
from typing import Any

from converge_redis.core.codec import encode
from converge_redis.core.durations import microseconds, optional_microseconds
from converge_redis.core.ids import call_id, uuid7
from converge_redis.core.keys import encode_part
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import (
    MIN_RETENTION,
    accepted,
)
from converge_redis.core.validation import (
    short_repr,
    validate_choice,
    validate_id,
    validate_ids,
    validate_integer,
    validate_seconds,
)
from converge_redis.errors import InvalidTypeError, InvalidValueError

_CREATE_SESSION = Script("negotiation/create_session")
_PROPOSE = Script("negotiation/propose")
_ACCEPT = Script("negotiation/accept")
_REJECT = Script("negotiation/reject")
_CLOSE = Script("negotiation/close")

MAX_PARTICIPANTS = 1000
MAX_PROPOSALS = 1000

_REFUSALS = {
    "stale": "there is a newer proposal",
    "own": "the current proposal is the agent's own",
    "rounds": "there are as many proposals as max_rounds allows",
    "turn": "it is another participant's turn",
}


def create_session(
    namespace: Namespace,
    initiator_id: str,
    participants: Iterable[str],
    initial_proposal: Any,
    *,
    quorum: str = "any",
    deadline_sec: float | None = None,
    max_rounds: int | None = None,
    turn_order: bool = False,
) -> Operation[str]:
    """Begin a negotiation.

    Args:
        initiator_id: The agent that makes the first proposal.
        participants: The participating agents, up to 1000; the initiator is one, whether listed or not.
        initial_proposal: The content of the first proposal: any payload.
        quorum: How many of the other participants must accept: ``"any"`` one, or ``"all"``.
        deadline_sec: Seconds until the negotiation is closed if it is still open; None: never.
        max_rounds: The most proposals, the first one included; None: 1000.
        turn_order: Whether the participants propose in turn, in the given order (the alternating offers of
            Rubinstein, Perfect Equilibrium in a Bargaining Model, 1982). All others may accept or reject at
            any time.

    Returns:
        The id of the negotiation, which is kept for the store's ``retention_sec`` after its end.

    Raises:
        InvalidTypeError, InvalidValueError: An argument is malformed, or there is no other participant.
        PayloadTooLargeError: The proposal exceeds the store's ``payload_limit``.
    """
    validate_id("initiator_id", initiator_id)
    agents = list(dict.fromkeys((initiator_id, *validate_ids("participants", participants))))
    if not 2 <= len(agents) <= MAX_PARTICIPANTS:
        raise InvalidValueError(
            "participants must list at least one other agent, and 1000 at most, "
            f"not {short_repr(participants)}"
        )
    if not isinstance(turn_order, bool):
        raise InvalidTypeError(f"turn_order must be True or False, not {short_repr(turn_order)}")
    session_id = uuid7()
    arguments: tuple[Argument, ...] = (
        session_id,
        "," + ",".join(encode_part(agent) for agent in agents) + ",",
        encode_part(initiator_id),
        encode("initial_proposal", initial_proposal, namespace.payload_limit),
        validate_choice("quorum", quorum, ("any", "all")),
        optional_microseconds(
            None if deadline_sec is None else validate_seconds("deadline_sec", deadline_sec)
        ),
        "" if max_rounds is None else validate_integer("max_rounds", max_rounds, 1, MAX_PROPOSALS),
        "1" if turn_order else "",
        microseconds(max(namespace.retention_sec, MIN_RETENTION)),
    )
    return Operation(
        _CREATE_SESSION, namespace.keys.shard_with(session_id), arguments, lambda _reply: session_id
    )


def propose(
    namespace: Namespace, session_id: str, agent_id: str, content: Any, *, strict: bool = False
) -> Operation[bool]:
    """Make a proposal, or a counter-proposal; it replaces the current one.

    Args:
        session_id: The negotiation.
        agent_id: The agent that proposes.
        content: The content of the proposal: any payload.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or its rules do not allow it.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"``, ``"late"``,
            ``"rounds"`` or ``"turn"``.
        PayloadTooLargeError: The proposal exceeds the store's ``payload_limit``.
    """
    data = encode("content", content, namespace.payload_limit)
    return _act(namespace, _PROPOSE, "the proposal", session_id, agent_id, (data,), strict)


def accept(
    namespace: Namespace,
    session_id: str,
    agent_id: str,
    proposal_id: str | None = None,
    *,
    strict: bool = False,
) -> Operation[bool]:
    """Accept the current proposal; the negotiation ends once its quorum has accepted.

    Args:
        session_id: The negotiation.
        agent_id: The agent that accepts; it cannot be the proposer.
        proposal_id: The proposal that the agent has read; the call is refused if there is a newer one. None:
            the current one.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or its rules do not allow it.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"``, ``"late"``,
            ``"stale"`` or ``"own"``.
    """
    named = "" if proposal_id is None else validate_id("proposal_id", proposal_id)
    return _act(namespace, _ACCEPT, "the accept", session_id, agent_id, (named,), strict)


def reject(
    namespace: Namespace,
    session_id: str,
    agent_id: str,
    proposal_id: str | None = None,
    *,
    strict: bool = False,
) -> Operation[bool]:
    """Reject the current proposal, which ends the negotiation.

    Args:
        session_id: The negotiation.
        agent_id: The agent that rejects; the proposer may withdraw in this way.
        proposal_id: The proposal that the agent has read; the call is refused if there is a newer one. None:
            the current one.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or its rules do not allow it.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"``, ``"late"`` or
            ``"stale"``.
    """
    named = "" if proposal_id is None else validate_id("proposal_id", proposal_id)
    return _act(namespace, _REJECT, "the reject", session_id, agent_id, (named,), strict)


def _act(
    namespace: Namespace,
    script: Script,
    act: str,
    session_id: str,
    agent_id: str,
    rest: tuple[Argument, ...],
    strict: bool,
) -> Operation[bool]:
    validate_id("session_id", session_id)
    agent = encode_part(validate_id("agent_id", agent_id))
    decode = accepted(
        f"{act} of agent {agent_id!r} in negotiation {session_id!r}", _REFUSALS, strict, agent_id
    )
    arguments = (call_id(), session_id, agent, *rest)
    return Operation(script, namespace.keys.shard_with(session_id), arguments, decode)


def close(
    namespace: Namespace, session_id: str, *, by: str | None = None, strict: bool = False
) -> Operation[bool]:
    """End a negotiation without a result.

    Args:
        session_id: The negotiation.
        by: The agent that closes it, which must be a participant; None: not checked.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or the agent is not a participant.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"`` or ``"late"``.
    """
    validate_id("session_id", session_id)
    agent = "" if by is None else encode_part(validate_id("by", by))
    decode = accepted(f"closing negotiation {session_id!r}", _REFUSALS, strict, by)
    return Operation(_CLOSE, namespace.keys.shard_with(session_id), (call_id(), session_id, agent), decode)
