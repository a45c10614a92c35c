"""Auctions: their terms, bids, outcomes and snapshots."""

import math
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from converge_redis.core.validation import short_repr, validate_choice, validate_seconds
from converge_redis.errors import InvalidTypeError, InvalidValueError


class AuctionType(StrEnum):
    """The types of auctions."""

    FIRST_PRICE_SEALED_BID = "first_price_sealed_bid"
    SECOND_PRICE_SEALED_BID = "second_price_sealed_bid"
    ENGLISH = "english"
    DUTCH = "dutch"

    @property
    def sealed(self) -> bool:
        """Whether bids are secret until the close."""
        return self in {AuctionType.FIRST_PRICE_SEALED_BID, AuctionType.SECOND_PRICE_SEALED_BID}


class AuctionState(StrEnum):
    """The states of an auction."""

    OPEN = "open"
    REVEALING = "revealing"
    CLOSED = "closed"


def validate_amount(field: str, value: Any) -> str:
    """Validate an amount, which must be finite and exact as a float, and encode it for scripts."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(f"{field} must be a number, not {type(value).__name__} {short_repr(value)}")
    try:
        amount = float(value)
    except OverflowError:
        amount = math.inf
    if not math.isfinite(amount):
        raise InvalidValueError(f"{field} must be finite, not {short_repr(value)}")
    if amount != value:
        raise InvalidValueError(f"{field} must be exact as a float, which {short_repr(value)} is not")
    return f"{amount:.17g}"


@dataclass(frozen=True, slots=True)
class AuctionTerms:
    """The terms of an auction, the same in all processes that open it; `BiddingProtocol` explains them."""

    auction_type: str
    direction: str = "max"
    reserve: float | None = None
    increment: float | None = None
    start_price: float | None = None
    decrement: float | None = None
    tick_sec: float | None = None
    deadline_sec: float | None = None
    quiet_sec: float | None = None
    hard_close_sec: float | None = None
    reveal_sec: float | None = None

    def __post_init__(self) -> None:
        kind = AuctionType(validate_choice("auction_type", self.auction_type, AuctionType))
        validate_choice("direction", self.direction, ("max", "min"))
        for name in ("reserve", "increment", "start_price", "decrement"):
            if getattr(self, name) is not None:
                validate_amount(name, getattr(self, name))
        for name in ("tick_sec", "deadline_sec", "quiet_sec", "hard_close_sec", "reveal_sec"):
            if getattr(self, name) is not None:
                validate_seconds(name, getattr(self, name))
        belongs = {
            "increment": kind == AuctionType.ENGLISH,
            "quiet_sec": kind == AuctionType.ENGLISH,
            "hard_close_sec": kind == AuctionType.ENGLISH,
            "start_price": kind == AuctionType.DUTCH,
            "decrement": kind == AuctionType.DUTCH,
            "tick_sec": kind == AuctionType.DUTCH,
            "reveal_sec": kind.sealed,
        }
        for name, is_its in belongs.items():
            if getattr(self, name) is not None and not is_its:
                raise InvalidValueError(f"{name} has no meaning in an auction of type {kind.value}")
            if getattr(self, name) is None and kind == AuctionType.DUTCH and is_its:
                raise InvalidValueError(f"{name} must be given in a Dutch auction")
        for name in ("increment", "decrement"):
            if (getattr(self, name) or 0) < 0:
                raise InvalidValueError(f"{name} must not be negative, not {short_repr(getattr(self, name))}")
        if kind == AuctionType.DUTCH:
            self._check_price_direction()

    def _check_price_direction(self) -> None:
        """Validate that the price of a Dutch auction moves from the start to the reserve."""
        assert self.start_price is not None  # noqa: S101 - validated before
        sign = -1 if self.direction == "min" else 1
        limit = self.reserve if self.reserve is not None else 0 if self.direction == "max" else math.inf
        if sign * self.start_price < sign * limit:
            bound = "from" if self.direction == "max" else "up to"
            raise InvalidValueError(
                f"start_price must be {bound} the reserve {short_repr(limit)}, "
                f"not {short_repr(self.start_price)}"
            )

    def as_arguments(self) -> tuple[str, ...]:
        """Return names and values as ``open_auction.lua`` takes them."""
        fields: dict[str, str] = {"type": str(self.auction_type), "direction": self.direction}
        amounts = {"reserve": "reserve", "increment": "increment", "start": "start_price"}
        for name, field in {**amounts, "decrement": "decrement"}.items():
            if getattr(self, field) is not None:
                fields[name] = validate_amount(field, getattr(self, field))
        for name in ("tick", "deadline", "quiet", "hard_close", "reveal"):
            value = getattr(self, f"{name}_sec")
            if value is not None:
                fields["hard" if name == "hard_close" else name] = str(max(1, round(value * 1e6)))
        flat = tuple(part for item in fields.items() for part in item)
        return (*flat, "terms", sha256(repr(flat).encode()).hexdigest()[:20])


@dataclass(frozen=True, slots=True)
class Bid:
    """A bid as it was recorded.

    Attributes:
        agent_id: The agent that bids.
        amount: The amount; in a Dutch auction the limit of the bidder that accepted the price. None: a
            commitment that was not revealed.
        content: Its content.
        sequence: Its number among the bids of the auction, from 1 on.
        timestamp: When it was made (server time, Unix seconds).
    """

    agent_id: str
    amount: float | None
    content: Any
    sequence: int
    timestamp: float


@dataclass(frozen=True, slots=True)
class AuctionOutcome:
    """How an auction ended.

    Attributes:
        winner: The winning agent; None: there is none.
        price: The price that the winner pays, or with direction ``"min"`` receives; None: unsold.
        sequence: The number of the winning bid; None: unsold.
        reason: ``"sold"``, ``"no_bids"`` or ``"below_reserve"`` (no valid bid has reached the reserve).
        closed_at: When it closed (server time, Unix seconds).
    """

    winner: str | None
    price: float | None
    sequence: int | None
    reason: str
    closed_at: float


@dataclass(frozen=True, slots=True)
class AuctionSnapshot:
    """A snapshot of one auction.

    Attributes:
        id: The id.
        auction_type: Its type.
        state: Its state; commitments can be revealed while it is ``"revealing"``.
        version: Grows with each visible change.
        opened_at: When it was opened (server time, Unix seconds).
        closes_at: When it closes, or has closed, for bids; None: when it is resolved.
        current_price: The price of an open Dutch auction; the standing bid of an English one; else None.
        leader: The agent with the standing bid of an English auction.
        outcome: How it ended; None: it is open.
    """

    id: str
    auction_type: AuctionType
    state: AuctionState
    version: int
    opened_at: float
    closes_at: float | None
    current_price: float | None
    leader: str | None
    outcome: AuctionOutcome | None
