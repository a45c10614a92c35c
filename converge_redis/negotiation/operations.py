"""Verbs of negotiations: alternating offers on server time."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from converge_redis.core.codec import decode, encode
from converge_redis.core.ids import call_id, uuid7
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
from converge_redis.core.validation import (
    check_choice,
    check_id,
    check_ids,
    check_integer,
    check_seconds,
    shown,
)
from converge_redis.errors import InvalidTypeError, InvalidValueError
from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
from converge_redis.notifications.watching import Watched, read_look, wait_for
from converge_redis.tasks.waiters import Look

_CREATE_SESSION = Script("negotiation/create_session")
_PROPOSE = Script("negotiation/propose")
_ACCEPT = Script("negotiation/accept")
_REJECT = Script("negotiation/reject")
_CLOSE = Script("negotiation/close")
_GET_SESSION = Script("negotiation/get_session")
_SESSIONS_FOR = Script("negotiation/sessions_for")

MOST_PARTICIPANTS = 1000
MOST_PROPOSALS = 1000
SESSIONS_PER_SCRIPT = 200

_REASONS = {
    "stale": "another proposal stands now",
    "own": "the standing proposal is the agent's own",
    "rounds": "there are as many proposals as max_rounds allows",
    "turn": "it is another participant's turn",
}


def create_session(
    space: Namespace,
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
        initiator_id: The agent that begins it, with the first proposal.
        participants: The agents that take part, up to 1000; the initiator does, whether named or not.
        initial_proposal: What it proposes.
        quorum: Who has to accept: ``"any"`` other participant, or ``"all"`` others.
        deadline_sec: Seconds until the negotiation is closed if it goes on until then; None: never.
        max_rounds: The most proposals, the first one included; None: 1000.
        turn_order: Whether the participants propose in turn, in the order given (the alternating offers of
            Rubinstein, Perfect Equilibrium in a Bargaining Model, 1982). Accepting and rejecting is always
            up to all others.

    Returns:
        The id of the negotiation. It is kept as long as the store's ``retention_sec`` says after its end.

    Raises:
        InvalidTypeError, InvalidValueError: An argument is malformed, or nobody else takes part.
        PayloadTooLargeError: The proposal exceeds the store's ``payload_limit``.
    """
    check_id("initiator_id", initiator_id)
    agents = list(dict.fromkeys((initiator_id, *check_ids("participants", participants))))
    if not 2 <= len(agents) <= MOST_PARTICIPANTS:
        raise InvalidValueError(
            f"participants must name at least one other agent, and 1000 at most, not {shown(participants)}"
        )
    if not isinstance(turn_order, bool):
        raise InvalidTypeError(f"turn_order must be True or False, not {shown(turn_order)}")
    session_id = uuid7()
    arguments: tuple[Argument, ...] = (
        session_id,
        "," + ",".join(encoded(agent) for agent in agents) + ",",
        encoded(initiator_id),
        encode("initial_proposal", initial_proposal, space.payload_limit),
        check_choice("quorum", quorum, ("any", "all")),
        microseconds(None if deadline_sec is None else check_seconds("deadline_sec", deadline_sec)),
        "" if max_rounds is None else check_integer("max_rounds", max_rounds, 1, MOST_PROPOSALS),
        "1" if turn_order else "",
        microseconds(max(space.retention_sec, LEAST_RETENTION)),
    )
    return Operation(_CREATE_SESSION, space.keys.shard_with(session_id), arguments, lambda _reply: session_id)


def propose(
    space: Namespace, session_id: str, agent_id: str, content: Any, *, strict: bool = False
) -> Operation[bool]:
    """Make a proposal, or a counter-proposal; it takes the place of the standing one.

    Args:
        session_id: The negotiation.
        agent_id: The agent that proposes.
        content: What it proposes.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or its rules do not allow it.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"``, ``"late"``,
            ``"rounds"`` or ``"turn"``.
        PayloadTooLargeError: The proposal exceeds the store's ``payload_limit``.
    """
    data = encode("content", content, space.payload_limit)
    return _act(space, _PROPOSE, "the proposal", session_id, agent_id, (data,), strict)


def accept(
    space: Namespace,
    session_id: str,
    agent_id: str,
    proposal_id: str | None = None,
    *,
    strict: bool = False,
) -> Operation[bool]:
    """Accept the standing proposal; the negotiation is over when as many have as its quorum demands.

    Args:
        session_id: The negotiation.
        agent_id: The agent that accepts; not the one that has proposed.
        proposal_id: The proposal that it has read: where another one stands now, nothing is accepted. None:
            whatever stands.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or its rules do not allow it.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"``, ``"late"``,
            ``"stale"`` or ``"own"``.
    """
    named = "" if proposal_id is None else check_id("proposal_id", proposal_id)
    return _act(space, _ACCEPT, "the accept", session_id, agent_id, (named,), strict)


def reject(
    space: Namespace,
    session_id: str,
    agent_id: str,
    proposal_id: str | None = None,
    *,
    strict: bool = False,
) -> Operation[bool]:
    """Reject the standing proposal, and end the negotiation with that.

    Args:
        session_id: The negotiation.
        agent_id: The agent that rejects; who has proposed may withdraw so.
        proposal_id: The proposal that it has read: where another one stands now, nothing is rejected. None:
            whatever stands.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or its rules do not allow it.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"``, ``"late"`` or
            ``"stale"``.
    """
    named = "" if proposal_id is None else check_id("proposal_id", proposal_id)
    return _act(space, _REJECT, "the reject", session_id, agent_id, (named,), strict)


def _act(
    space: Namespace,
    script: Script,
    act: str,
    session_id: str,
    agent_id: str,
    rest: tuple[Argument, ...],
    strict: bool,
) -> Operation[bool]:
    check_id("session_id", session_id)
    agent = encoded(check_id("agent_id", agent_id))
    about = f"{act} of agent {agent_id!r} in negotiation {session_id!r}"
    arguments = (call_id(), session_id, agent, *rest)
    return Operation(script, space.keys.shard_with(session_id), arguments, done(about, _REASONS, strict))


def close(
    space: Namespace, session_id: str, agent_id: str | None = None, *, strict: bool = False
) -> Operation[bool]:
    """End a negotiation without a result.

    Args:
        session_id: The negotiation.
        agent_id: The agent that closes it, which has to take part; None: not said, nor checked.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the negotiation is unknown or over, or the agent does not take part.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"unknown"``, ``"not_participant"`` or ``"late"``.
    """
    check_id("session_id", session_id)
    agent = "" if agent_id is None else encoded(check_id("agent_id", agent_id))
    read = done(f"closing negotiation {session_id!r}", _REASONS, strict)
    return Operation(_CLOSE, space.keys.shard_with(session_id), (call_id(), session_id, agent), read)


def get_session(space: Namespace, session_id: str) -> Operation[NegotiationSession | None]:
    """Read a negotiation.

    Args:
        session_id: The negotiation.

    Returns:
        A snapshot; None when it is unknown.
    """
    check_id("session_id", session_id)
    return Operation(
        _GET_SESSION,
        space.keys.shard_with(session_id),
        (session_id, "", 0),
        lambda reply: None if reply[0] == b"UNKNOWN" else _read_session(session_id, reply),
    )


def wait_for_update(
    space: Namespace,
    session_id: str,
    timeout: float | None,
    *,
    since: NegotiationSession | int | None = None,
) -> Steps[NegotiationSession | None]:
    """Wait until a negotiation changes; nothing is polled meanwhile.

    Args:
        session_id: The negotiation.
        timeout: The most seconds to wait; None: no limit.
        since: The snapshot, or its version, that is known: a later one is returned at once, so that no change
            is missed between two calls. None: the negotiation as it is at the time of the call.

    Returns:
        A snapshot with the change; that of a negotiation that is over, at once. None when the time is up, or
        the negotiation is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    check_id("session_id", session_id)
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    if since is None or timeout == 0:
        session = yield from ask(get_session(space, session_id))
        if session is None or session.state.terminal:
            return session
        known = session.version
        if since is not None and session.version > _version(since):
            return session
    if since is not None:
        known = _version(since)

    def look(listener: str) -> Operation[Look[NegotiationSession]]:
        read = partial(read_look, read=partial(_read_session, session_id))
        arguments = (session_id, listener, known)
        return Operation(_GET_SESSION, space.keys.shard_with(session_id), arguments, read)

    shard = space.keys.shard_of(session_id)
    return (yield from wait_for(Watched(shard, f"negotiation:{session_id}", look), timeout))


def _version(since: NegotiationSession | int) -> int:
    version = since.version if isinstance(since, NegotiationSession) else since
    return check_integer("since", version, 0, 2**53)


def sessions_for(space: Namespace, agent_id: str) -> Steps[list[str]]:
    """List the negotiations that an agent takes part in and that are not over.

    Args:
        agent_id: The agent.

    Returns:
        Their ids, the oldest first.
    """
    agent = encoded(check_id("agent_id", agent_id))
    found: list[str] = []
    after: dict[int, Argument] = dict.fromkeys(range(space.shards), "-inf")
    while after:
        pages = yield from ask_all(
            [
                Operation(_SESSIONS_FOR, space.keys.shard(shard), (agent, place, SESSIONS_PER_SCRIPT), tuple)
                for shard, place in after.items()
            ]
        )
        found += [session_id.decode() for page in pages for session_id in page[2:]]
        after = {shard: page[1] for shard, page in zip(after, pages, strict=True) if page[0] == b"MORE"}
    return sorted(found)


def _read_session(session_id: str, reply: Sequence[Any]) -> NegotiationSession:
    fields = fields_of(reply[2:])
    history = [_read_proposal(f"{session_id}:{number}", row) for number, row in enumerate(reply[1], start=1)]
    ended_by = text_of(fields, "by")
    return NegotiationSession(
        id=session_id,
        participants=_agents(fields["participants"]),
        history=history,
        state=NegotiationState(fields["state"].decode()),
        current_proposal=history[-1],
        version=int(fields["version"]),
        quorum=fields["quorum"].decode(),
        accepted_by=_agents(fields["accepted"]),
        created_at=int(fields["created"]) / 1e6,
        deadline_at=time_of(fields, "deadline"),
        ended_at=time_of(fields, "ended"),
        ended_by=None if ended_by is None else unquote(ended_by),
        reason=text_of(fields, "reason"),
        max_rounds=int(fields["most"]) if "most" in fields else None,
        turn_order="turns" in fields,
    )


def _agents(listed: bytes) -> list[str]:
    return [unquote(agent) for agent in listed.decode().split(",") if agent]


def _read_proposal(proposal_id: str, row: bytes) -> Proposal:
    at, proposer, content = row.split(b" ", 2)
    return Proposal(proposal_id, unquote(proposer.decode()), decode(content), int(at) / 1e6)
