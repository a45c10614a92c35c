"""Ballots: their terms and snapshots."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from converge_redis.consensus.tally import Tally, VotingMethod
from converge_redis.core.validation import (
    short_repr,
    validate_choice,
    validate_id,
    validate_integer,
    validate_seconds,
)
from converge_redis.errors import InvalidTypeError, InvalidValueError

MAX_VOTERS = 10_000
MAX_WEIGHT = 1_000_000


@dataclass(frozen=True, slots=True)
class BallotTerms:
    """The terms of a ballot, the same in all processes that open it; `Ballot` explains them."""

    options: tuple[Any, ...] | None
    roll: dict[str, int] | None
    method: str
    quorum: int | None
    threshold: Fraction
    revisable: bool
    secret: bool
    deadline_sec: float | None

    def __post_init__(self) -> None:
        validate_choice("method", self.method, VotingMethod)
        if self.options is not None and (not self.options or None in self.options):
            raise InvalidValueError(
                f"options must hold at least one, and not None: {short_repr(self.options)}"
            )
        if self.roll is not None:
            if not 1 <= len(self.roll) <= MAX_VOTERS:
                raise InvalidValueError(f"voters must be 1 to {MAX_VOTERS}, not {len(self.roll)}")
            for agent, weight in self.roll.items():
                validate_id("voters", agent)
                validate_integer(f"voters[{agent!r}]", weight, 1, MAX_WEIGHT)
        if self.quorum is not None:
            validate_integer("quorum", self.quorum, 1, len(self.roll) if self.roll else 2**31)
        if not 0 < self.threshold <= 1:
            raise InvalidValueError(f"threshold must be above 0, and 1 at most, not {self.threshold}")
        for name in ("revisable", "secret"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidTypeError(f"{name} must be True or False, not {short_repr(getattr(self, name))}")
        if self.deadline_sec is not None:
            validate_seconds("deadline_sec", self.deadline_sec)


@dataclass(frozen=True, slots=True)
class BallotSnapshot:
    """A snapshot of one ballot.

    Attributes:
        vote_id: The id.
        method: How the votes decide.
        is_open: Whether votes are accepted.
        cast: The number of agents that have voted.
        on_roll: The number of agents that may vote; None: any agent may.
        opened_at: When it was opened (server time, Unix seconds).
        closes_at: When it closes, unless it is closed before; None: it has no deadline.
        closed_at: When it was closed; None: it is open.
        votes: The option of each agent; None before the close of a secret ballot.
        tally: The result; None before the close of a secret ballot.
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


def roll_of(voters: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    """Return the agents that may vote with their weights; see `Ballot`."""
    if isinstance(voters, Mapping):
        return dict(voters)
    if isinstance(voters, str | bytes) or not isinstance(voters, Iterable):
        raise InvalidTypeError(
            f"voters must be a list of agents or a mapping to weights, not {short_repr(voters)}"
        )
    return dict.fromkeys(voters, 1)


def fraction_of(threshold: Any) -> Fraction:
    """Return a threshold as a fraction; see `Ballot`."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | Fraction):
        raise InvalidTypeError(f"threshold must be a number, not {short_repr(threshold)}")
    if isinstance(threshold, float) and not math.isfinite(threshold):
        raise InvalidValueError(f"threshold must be finite, not {threshold}")
    return Fraction(threshold).limit_denominator(10_000)
