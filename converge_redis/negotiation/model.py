"""Negotiations: their states, proposals and snapshots."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class NegotiationState(StrEnum):
    """The states of a negotiation; the last three are terminal."""

    PROPOSED = "proposed"
    COUNTERED = "countered"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CLOSED = "closed"

    @property
    def terminal(self) -> bool:
        """Whether the negotiation is over."""
        return self not in {NegotiationState.PROPOSED, NegotiationState.COUNTERED}


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal.

    Attributes:
        id: The id, which `accept` and `reject` take.
        proposer_id: The agent that made it.
        content: Its content.
        timestamp: When it was made (server time, Unix seconds).
    """

    id: str
    proposer_id: str
    content: Any
    timestamp: float


@dataclass(frozen=True, slots=True)
class NegotiationSession:
    """A snapshot of one negotiation.

    Attributes:
        id: The id.
        participants: The participating agents, the initiator first.
        history: All proposals, the oldest first.
        state: Its state.
        current_proposal: The last proposal.
        version: Grows with each change.
        quorum: ``"any"``: one accept is enough; ``"all"``: all participants but the proposer must accept.
        accepted_by: The agents that have accepted the current proposal.
        created_at: When it was created (server time, Unix seconds).
        deadline_at: When it is closed if it is still open; None: never.
        ended_at: When it ended; for a deadline that has passed, the deadline.
        ended_by: The agent that ended it, by the last accept of the quorum, a reject, or `close`.
        reason: Why it was closed: ``"closed"`` or ``"deadline"``.
        max_rounds: The most proposals; None: 1000.
        turn_order: Whether the participants propose in turn.
    """

    id: str
    participants: list[str]
    history: list[Proposal]
    state: NegotiationState
    current_proposal: Proposal
    version: int
    quorum: str
    accepted_by: list[str]
    created_at: float
    deadline_at: float | None
    ended_at: float | None
    ended_by: str | None
    reason: str | None
    max_rounds: int | None
    turn_order: bool
