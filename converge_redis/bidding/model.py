"""What an auction is: its terms, its bids, its outcome."""

import math
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from converge_redis.core.validation import check_choice, check_seconds, shown
from converge_redis.errors import InvalidTypeError, InvalidValueError


class AuctionType(StrEnum):
    """The rules of an auction."""

    FIRST_PRICE_SEALED_BID = "first_price_sealed_bid"
    SECOND_PRICE_SEALED_BID = "second_price_sealed_bid"
    ENGLISH = "english"
    DUTCH = "dutch"

    @property
    def sealed(self) -> bool:
        """Whether bids are secret until the close."""
        return self in {AuctionType.FIRST_PRICE_SEALED_BID, AuctionType.SECOND_PRICE_SEALED_BID}


class AuctionState(StrEnum):
    """Where an auction stands."""

    OPEN = "open"
    REVEALING = "revealing"
    CLOSED = "closed"


def check_amount(field: str, value: Any) -> str:
    """Return an amount as the scripts take it: finite, and exact as a double."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidTypeError(f"{field} must be a number, not {type(value).__name__} {shown(value)}")
    try:
        amount = float(value)
    except OverflowError:
        amount = math.inf
    if not math.isfinite(amount):
        raise InvalidValueError(f"{field} must be finite, not {shown(value)}")
    if amount != value:
        raise InvalidValueError(f"{field} must be exact as a float, which {shown(value)} is not")
    return f"{amount:.17g}"


@dataclass(frozen=True, slots=True)
class AuctionTerms:
    """The terms of an auction, the same for all who open it; see `BiddingProtocol` for what they mean."""

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
        kind = AuctionType(check_choice("auction_type", self.auction_type, AuctionType))
        check_choice("direction", self.direction, ("max", "min"))
        for name in ("reserve", "increment", "start_price", "decrement"):
            if getattr(self, name) is not None:
                check_amount(name, getattr(self, name))
        for name in ("tick_sec", "deadline_sec", "quiet_sec", "hard_close_sec", "reveal_sec"):
            if getattr(self, name) is not None:
                check_seconds(name, getattr(self, name))
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
                raise InvalidValueError(f"{name} must not be negative, not {shown(getattr(self, name))}")
        if kind == AuctionType.DUTCH:
            self._check_way()

    def _check_way(self) -> None:
        """The price of a Dutch auction goes from the start to the reserve."""
        assert self.start_price is not None  # noqa: S101 - checked before
        sign = -1 if self.direction == "min" else 1
        limit = self.reserve if self.reserve is not None else 0 if self.direction == "max" else math.inf
        if sign * self.start_price < sign * limit:
            way = "from" if self.direction == "max" else "up to"
            raise InvalidValueError(
                f"start_price must be {way} the reserve {shown(limit)}, not {shown(self.start_price)}"
            )

    def as_arguments(self) -> tuple[str, ...]:
        """Return names and values as `open_auction` takes them."""
        named: dict[str, str] = {"type": str(self.auction_type), "direction": self.direction}
        amounts = {"reserve": "reserve", "increment": "increment", "start": "start_price"}
        for name, field in {**amounts, "decrement": "decrement"}.items():
            if getattr(self, field) is not None:
                named[name] = check_amount(field, getattr(self, field))
        for name in ("tick", "deadline", "quiet", "hard_close", "reveal"):
            value = getattr(self, f"{name}_sec")
            if value is not None:
                named["hard" if name == "hard_close" else name] = str(max(1, round(value * 1e6)))
        flat = tuple(part for item in named.items() for part in item)
        return (*flat, "terms", sha256(repr(flat).encode()).hexdigest()[:20])


@dataclass(frozen=True, slots=True)
class Bid:
    """A bid as it was recorded.

    Attributes:
        agent_id: Who bids.
        amount: How much; in a Dutch auction the limit of the one who has accepted the price. None: the bidder
            has not revealed its commitment.
        content: What goes with it.
        sequence: Its number among the bids of the auction, from 1 on.
        timestamp: When, in seconds since 1970, server time.
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
        winner: Who has won; None: nobody.
        price: What the winner pays, or with direction min is paid; None: unsold.
        sequence: The number of the winning bid; None: unsold.
        reason: ``"sold"``, ``"no_bids"`` or ``"below_reserve"`` (no bid that counts has reached the reserve).
        closed_at: When, in seconds since 1970, server time.
    """

    winner: str | None
    price: float | None
    sequence: int | None
    reason: str
    closed_at: float


@dataclass(frozen=True, slots=True)
class Auction:
    """A snapshot of one auction.

    Attributes:
        id: Its id.
        auction_type: Its rules.
        state: Open; revealing: commitments can be revealed; closed.
        version: Grows with each change that can be seen.
        opened_at: When it was opened, in seconds since 1970, server time.
        closes_at: When it closes, or has closed for bids; None: when it is resolved.
        current_price: The price of an open Dutch auction; the standing bid of an English one; else None.
        leader: Whose the standing bid of an English auction is.
        outcome: How it ended; None: it goes on.
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
