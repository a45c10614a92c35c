"""What a negotiation is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class NegotiationState(StrEnum):
    """Where a negotiation stands; in the last three it is over."""

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
        id: Its id; `accept` and `reject` can name it.
        proposer_id: Who made it.
        content: What was proposed.
        timestamp: When, in seconds since 1970, server time.
    """

    id: str
    proposer_id: str
    content: Any
    timestamp: float


@dataclass(frozen=True, slots=True)
class NegotiationSession:
    """A snapshot of one negotiation.

    Attributes:
        id: Its id.
        participants: Who takes part, the one who has begun it first.
        history: All proposals, the oldest first.
        state: Where it stands.
        current_proposal: The standing proposal: the last one made.
        version: Grows with each change.
        quorum: ``"any"``: one who accepts is enough; ``"all"``: all but the proposer have to.
        accepted_by: Who has accepted the standing proposal.
        created_at: When it was begun, in seconds since 1970, server time.
        deadline_at: When it is closed if it goes on until then; None: never.
        ended_at: When it ended; past its deadline, the deadline.
        ended_by: The agent that ended it: by the last accept that was needed, a reject, or `close`.
        reason: Why it was closed: ``"closed"`` or ``"deadline"``.
        max_rounds: The most proposals; None: 1000.
        turn_order: Whether each participant proposes in turn.
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
