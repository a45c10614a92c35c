"""Reading negotiations: get_session, list_sessions, wait_for_update."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import unquote

from converge_redis.core.codec import decode
from converge_redis.core.keys import encode_part
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Procedure, send, send_all
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import decode_fields, decode_text, decode_time
from converge_redis.core.validation import validate_id, validate_integer, validate_seconds
from converge_redis.negotiation.model import NegotiationSession, NegotiationState, Proposal
from converge_redis.notifications.waiters import Observation
from converge_redis.notifications.watchers import WatchedKey, read_observation, wait_for

_GET_SESSION = Script("negotiation/get_session")
_LIST_SESSIONS = Script("negotiation/list_sessions")

SESSIONS_PER_SCRIPT = 200
NO_LIMIT = 2**53


def get_session(namespace: Namespace, session_id: str) -> Operation[NegotiationSession | None]:
    """Read a negotiation.

    Args:
        session_id: The negotiation.

    Returns:
        A snapshot; None when it is unknown.
    """
    validate_id("session_id", session_id)
    return Operation(
        _GET_SESSION,
        namespace.keys.shard_with(session_id),
        (session_id, "", 0),
        lambda reply: None if reply[0] == b"UNKNOWN" else _decode_session(session_id, reply),
    )


def wait_for_update(
    namespace: Namespace,
    session_id: str,
    timeout: float | None = None,
    *,
    since: NegotiationSession | int | None = None,
) -> Procedure[NegotiationSession | None]:
    """Wait until a negotiation changes; the server wakes the call.

    Args:
        session_id: The negotiation.
        timeout: The most seconds to wait; None: no limit.
        since: The snapshot that the caller knows, or its version; a later one is returned at once, so that no
            change is missed between two calls. None: the negotiation at the time of the call.

    Returns:
        A snapshot with the change; at once when the negotiation is over. None when the time is up, or the
        negotiation is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    validate_id("session_id", session_id)
    if timeout is not None:
        validate_seconds("timeout", timeout, zero=True)
    if since is None or timeout == 0:
        session = yield from send(get_session(namespace, session_id))
        if session is None or session.state.terminal:
            return session
        known = session.version
        if since is not None and session.version > _version(since):
            return session
    if since is not None:
        known = _version(since)

    def read_and_watch(listener: str) -> Operation[Observation[NegotiationSession]]:
        decode = partial(read_observation, decode=partial(_decode_session, session_id))
        arguments = (session_id, listener, known)
        return Operation(_GET_SESSION, namespace.keys.shard_with(session_id), arguments, decode)

    shard = namespace.keys.shard_of(session_id)
    return (yield from wait_for(WatchedKey(shard, f"negotiation:{session_id}", read_and_watch), timeout))


def _version(since: NegotiationSession | int) -> int:
    version = since.version if isinstance(since, NegotiationSession) else since
    return validate_integer("since", version, 0, 2**53)


def list_sessions(namespace: Namespace, agent_id: str, *, limit: int | None = None) -> Procedure[list[str]]:
    """List the open negotiations in which an agent participates.

    Args:
        agent_id: The agent.
        limit: The most negotiations to list; None: all.

    Returns:
        Their ids, the oldest first.
    """
    agent = encode_part(validate_id("agent_id", agent_id))
    max_sessions = NO_LIMIT if limit is None else validate_integer("limit", limit, 1, NO_LIMIT)
    found: dict[int, list[str]] = {shard: [] for shard in range(namespace.shards)}
    after: dict[int, Argument] = dict.fromkeys(found, "-inf")
    while after:
        operations = [
            Operation(_LIST_SESSIONS, namespace.keys.shard(shard), (agent, place, SESSIONS_PER_SCRIPT), tuple)
            for shard, place in after.items()
        ]
        pages = dict(zip(after, (yield from send_all(operations)), strict=True))
        for shard, (_, _, *ids) in pages.items():
            found[shard] += [session_id.decode() for session_id in ids]
        after = {
            shard: page[1]
            for shard, page in pages.items()
            if page[0] == b"MORE" and len(found[shard]) < max_sessions
        }
    return sorted(session_id for ids in found.values() for session_id in ids)[:max_sessions]


def _decode_session(session_id: str, reply: Sequence[Any]) -> NegotiationSession:
    fields = decode_fields(reply[2:])
    history = [
        _decode_proposal(f"{session_id}:{number}", row) for number, row in enumerate(reply[1], start=1)
    ]
    ended_by = decode_text(fields, "by")
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
        deadline_at=decode_time(fields, "deadline"),
        ended_at=decode_time(fields, "ended"),
        ended_by=None if ended_by is None else unquote(ended_by),
        reason=decode_text(fields, "reason"),
        max_rounds=int(fields["most"]) if "most" in fields else None,
        turn_order="turns" in fields,
    )


def _agents(listed: bytes) -> list[str]:
    return [unquote(agent) for agent in listed.decode().split(",") if agent]


def _decode_proposal(proposal_id: str, row: bytes) -> Proposal:
    made_at, proposer, content = row.split(b" ", 2)
    return Proposal(proposal_id, unquote(proposer.decode()), decode(content), int(made_at) / 1e6)
