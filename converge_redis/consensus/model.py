"""What a ballot is."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from converge_redis.consensus.tally import Tally, VotingMethod
from converge_redis.core.validation import check_choice, check_id, check_integer, check_seconds, shown
from converge_redis.errors import InvalidTypeError, InvalidValueError

MOST_VOTERS = 10_000
MOST_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True)
class BallotTerms:
    """The terms of a ballot, the same for all who open it; see `Ballot` for what they mean."""

    options: tuple[Any, ...] | None
    roll: dict[str, int] | None
    method: str
    quorum: int | None
    threshold: Fraction
    revisable: bool
    secret: bool
    deadline_sec: float | None

    def __post_init__(self) -> None:
        check_choice("method", self.method, VotingMethod)
        if self.options is not None and (not self.options or None in self.options):
            raise InvalidValueError(f"options must name something, and not None: {shown(self.options)}")
        if self.roll is not None:
            if not 1 <= len(self.roll) <= MOST_VOTERS:
                raise InvalidValueError(f"voters must be 1 to {MOST_VOTERS}, not {len(self.roll)}")
            for agent, weight in self.roll.items():
                check_id("voters", agent)
                check_integer(f"voters[{agent!r}]", weight, 1, MOST_WEIGHT)
        if self.quorum is not None:
            check_integer("quorum", self.quorum, 1, len(self.roll) if self.roll else 2**31)
        if not 0 < self.threshold <= 1:
            raise InvalidValueError(f"threshold must be above 0, and 1 at most, not {self.threshold}")
        for name in ("revisable", "secret"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidTypeError(f"{name} must be True or False, not {shown(getattr(self, name))}")
        if self.deadline_sec is not None:
            check_seconds("deadline_sec", self.deadline_sec)


@dataclass(frozen=True, slots=True)
class BallotState:
    """A snapshot of one ballot.

    Attributes:
        vote_id: Its id.
        method: How the votes decide.
        is_open: Whether votes are taken.
        cast: How many have voted.
        on_roll: How many may vote; None: everybody may.
        opened_at: When it was opened, in seconds since 1970, server time.
        closes_at: When it closes, unless it is closed before; None: when it is closed.
        closed_at: When it was closed.
        votes: What each agent has voted for; None before the close of a secret ballot.
        tally: What came of it; None before the close of a secret ballot.
    """

    vote_id: str
    method: VotingMethod
    is_open: bool
    cast: int
    on_roll: int | None
    opened_at: float
    closes_at: float | None
    closed_at: float | None
    votes: dict[str, Any] | None
    tally: Tally | None
