"""How ballots decide: a pure function of the votes that count."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Any

from converge_redis.consensus.counting import counted, first_of


class VotingMethod(StrEnum):
    """How votes decide."""

    MAJORITY = "majority"
    PLURALITY = "plurality"
    SUPERMAJORITY = "supermajority"
    UNANIMOUS = "unanimous"
    APPROVAL = "approval"


@dataclass(frozen=True, slots=True)
class Tally:
    """What came of a ballot.

    Attributes:
        decision: The option that has won; None: none has.
        reason: ``"decided"``, ``"no_quorum"``, or ``"no_decision"``: a tie, or too few votes for one option.
        counts: Each option that was voted for, with the weight of its votes, the heaviest first.
        ballots: How many have voted.
        weight: The weight of all of them together.
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
    """Count votes; of ties comes no decision.

    Args:
        method: One of `VotingMethod`. Majority: more than half of the weight that was cast; plurality: more
            than any other option; supermajority: at least the threshold's part of it; unanimous: all of it;
            approval: a vote is a list of options, and the one that most approve of wins (Brams and Fishburn,
            Approval Voting, 1978).
        votes: The choices with the weights of those who made them.
        quorum: How many have to vote for there to be a decision; None: one.
        threshold: The part that a supermajority needs.

    Returns:
        The decision, and the counts behind it.
    """
    cast = list(votes)
    weight = sum(each for _, each in cast)
    if method == VotingMethod.APPROVAL:
        named = ((option, each) for choice, each in cast for option, _ in counted((one, 1) for one in choice))
        counts = counted(named)
    else:
        counts = counted(cast)
    best = first_of(counts)
    of_best = max((each for _, each in counts), default=0)
    enough = {
        VotingMethod.MAJORITY: 2 * of_best > weight,
        VotingMethod.SUPERMAJORITY: of_best >= threshold * weight,
        VotingMethod.UNANIMOUS: of_best == weight,
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
