"""The tally: how the votes of a ballot decide, as a pure function."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from converge_redis.consensus.counting import weigh, winner


class VotingMethod(StrEnum):
    """The methods by which votes decide."""

    MAJORITY = "majority"
    PLURALITY = "plurality"
    SUPERMAJORITY = "supermajority"
    UNANIMOUS = "unanimous"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Tally:
    """The result of a ballot.

    Attributes:
        decision: The winning option; None: there is none.
        reason: ``"decided"``, ``"no_quorum"``, or ``"no_decision"``: a tie, or too few votes for one option.
        counts: Each option with the weight of its votes, the heaviest first.
        ballots: The number of agents that have voted.
        weight: The sum of their weights.
    """

    decision: Any
    reason: str
    counts: list[tuple[Any, int]]
    ballots: int
    weight: int


def tally(
    method: str,
    votes: Iterable[tuple[Any, int]],
    *,
    quorum: int | None = None,
    threshold: Fraction = Fraction(2, 3),
) -> Tally:
    """Count votes; a tie is no decision.

    Args:
        method: One of `VotingMethod`. Majority: more than half of the weight that was cast; plurality: more
            than any other option; supermajority: at least the threshold's part of it; unanimous: all of it;
            approval: a vote is a list of options, and the option with most approvals wins (Brams and
            Fishburn, Approval Voting, 1978).
        votes: The options with the weights of the voters.
        quorum: How many agents must vote for a decision; None: one.
        threshold: The part of the weight that a supermajority needs.

    Returns:
        The decision, and the counts behind it.
    """
    cast = list(votes)
    weight = sum(each for _, each in cast)
    if method == VotingMethod.APPROVAL:
        named = ((option, each) for choice, each in cast for option, _ in weigh((one, 1) for one in choice))
        counts = weigh(named)
    else:
        counts = weigh(cast)
    best = winner(counts)
    best_weight = max((each for _, each in counts), default=0)
    enough = {
        VotingMethod.MAJORITY: 2 * best_weight > weight,
        VotingMethod.SUPERMAJORITY: best_weight >= threshold * weight,
        VotingMethod.UNANIMOUS: best_weight == weight,
    }.get(VotingMethod(method), True)
    reason = "decided" if best is not None and enough else "no_decision"
    if len(cast) < (quorum or 1):
        reason = "no_quorum"
    return Tally(
        decision=best if reason == "decided" else None,
        reason=reason,
        counts=sorted(counts, key=lambda count: -count[1]),
        ballots=len(cast),
        weight=weight,
    )
