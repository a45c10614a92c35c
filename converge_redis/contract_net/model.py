"""What a call for proposals is."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class CallState(StrEnum):
    """Where a call for proposals stands; in the last two it is over."""

    OPEN = "open"
    AWARDED = "awarded"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class ContractProposal:
    """A proposal to do a task.

    Attributes:
        agent_id: Who proposes.
        content: What it proposes.
        timestamp: When, in seconds since 1970, server time.
    """

    agent_id: str
    content: Any
    timestamp: float


@dataclass(frozen=True, slots=True)
class CallForProposals:
    """A snapshot of one call for proposals.

    Attributes:
        task_id: The task that is to be awarded.
        initiator_id: Who calls.
        invitees: Who may propose.
        state: Where it stands.
        opened_at: When it was made, in seconds since 1970, server time.
        reply_by: Until when replies are taken.
        lapses_at: When it is over without an award.
        ended_at: When it was awarded, or has lapsed.
        proposals: Those that stand, the earliest first.
        refusals: By agent why it refused.
        contractor_id: Who was awarded the task.
    """

    task_id: str
    initiator_id: str
    invitees: list[str]
    state: CallState
    opened_at: float
    reply_by: float
    lapses_at: float
    ended_at: float | None
    proposals: list[ContractProposal]
    refusals: dict[str, Any]
    contractor_id: str | None
