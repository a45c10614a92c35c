"""Calls for proposals: their states, proposals and snapshots."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class CallState(StrEnum):
    """The states of a call for proposals; the last two are terminal."""

    OPEN = "open"
    AWARDED = "awarded"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class ContractProposal:
    """A proposal to do a task.

    Attributes:
        agent_id: The agent that proposes.
        content: Its content.
        timestamp: When it was made (server time, Unix seconds).
    """

    agent_id: str
    content: Any
    timestamp: float


@dataclass(frozen=True, slots=True)
class CallForProposals:
    """A snapshot of one call for proposals.

    Attributes:
        task_id: The task.
        initiator_id: The agent that calls.
        invitees: The agents that may propose.
        state: Its state.
        opened_at: When it was made (server time, Unix seconds).
        reply_by: Until when replies are accepted (server time, Unix seconds).
        lapses_at: When it ends without an award.
        ended_at: When it was awarded, or lapsed; None: it is open.
        proposals: The current proposals, the earliest first.
        refusals: By agent, the reason for which it declined.
        contractor_id: The agent to which the task was awarded; None: none.
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
