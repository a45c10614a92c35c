"""Verbs that read auctions, and wait for them to change."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from converge_redis.bidding.context import REASONS, AuctionSpace, about
from converge_redis.bidding.model import Auction, AuctionOutcome, AuctionState, AuctionType, Bid
from converge_redis.core.codec import decode
from converge_redis.core.operation import Operation, Steps, ask
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import fields_of, text_of, time_of
from converge_redis.core.validation import check_seconds
from converge_redis.errors import ActRefusedError
from converge_redis.notifications.watching import Watched, read_look, wait_for
from converge_redis.tasks.waiters import Look

_GET_AUCTION = Script("bidding/get_auction")
_GET_BIDS = Script("bidding/get_bids")

BIDS_PER_SCRIPT = 500


def bids(space: AuctionSpace) -> Steps[list[Bid]]:
    """List the bids: of a sealed auction the one of each bidder, of an English one all that were accepted.

    Returns:
        The bids, in the order of their sequence numbers; an empty list for an auction that is unknown.

    Raises:
        ActRefusedError: The auction is sealed and not closed; ``reason`` is ``"sealed"``.
    """
    return [_read_bid(number, row) for number, row, _commitment_, _nonce in (yield from rows(space))]


def rows(space: AuctionSpace) -> Steps[list[Sequence[Any]]]:
    """Return the bids as they are stored, each with its number, commitment and nonce."""
    found: list[Sequence[Any]] = []
    word, first = b"MORE", 1
    while word == b"MORE":
        word, *rows = yield from ask(
            about(space, _GET_BIDS, (space.auction_id, first, BIDS_PER_SCRIPT), tuple)
        )
        found += rows
        first += BIDS_PER_SCRIPT
    if word == b"SEALED":
        raise ActRefusedError(
            f"reading the bids of auction {space.auction_id!r} was refused: {REASONS['sealed']}", "sealed"
        )
    return found


def parts_of(row: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the time, amount, agent and content of a stored bid."""
    at, amount, size, rest = row.split(b" ", 3)
    return at, amount, rest[: int(size)], rest[int(size) :]


def _read_bid(number: Any, row: bytes) -> Bid:
    at, amount, agent, content = parts_of(row)
    hidden = amount.startswith(b"#")
    return Bid(
        agent_id=agent.decode(),
        amount=None if hidden else float(amount),
        content=None if hidden else decode(content),
        sequence=int(number),
        timestamp=int(at) / 1e6,
    )


def get_auction(space: AuctionSpace) -> Operation[Auction | None]:
    """Read the auction.

    Returns:
        A snapshot, of a sealed auction without anything about its bids; None when it was not opened yet, or
        is no longer kept.
    """
    return about(
        space,
        _GET_AUCTION,
        (space.auction_id, "", 0, ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _read_auction(space.auction_id, reply),
    )


def outcome(space: AuctionSpace) -> Steps[AuctionOutcome | None]:
    """Tell how the auction ended.

    Returns:
        The outcome; None while it goes on, or when it is unknown. Nothing is closed by asking.
    """
    auction = yield from ask(get_auction(space))
    return auction.outcome if auction else None


def current_price(space: AuctionSpace) -> Steps[float | None]:
    """Tell the price: of an open Dutch auction by server time, or the standing bid of an English one.

    Returns:
        The price; None where there is none.
    """
    auction = yield from ask(get_auction(space))
    return auction.current_price if auction else None


def wait_for_update(
    space: AuctionSpace, timeout: float | None, *, since: Auction | None = None
) -> Steps[Auction | None]:
    """Wait until the auction changes: a bid in an English one, or its close; nothing is polled meanwhile.

    Args:
        timeout: The most seconds to wait; None: no limit.
        since: The snapshot that is known: a later one is returned at once. None: the auction as it is at the
            time of the call.

    Returns:
        A snapshot with the change; that of a closed auction, at once. None when the time is up, or the
        auction is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    known = since or (yield from ask(get_auction(space)))
    if known is None or (since is None and known.state == AuctionState.CLOSED):
        return known
    return (yield from changed(space, known.version, "", timeout))


def changed(space: AuctionSpace, known: int, what: str, timeout: float | None) -> Steps[Auction | None]:
    """Wait until the auction is newer than a version; see get_auction.lua for `what`."""

    def look(listener: str) -> Operation[Look[Auction]]:
        read = partial(read_look, read=partial(_read_auction, space.auction_id))
        return about(space, _GET_AUCTION, (space.auction_id, listener, known, what), read)

    return (yield from wait_for(Watched(space.shard, f"auction:{space.auction_id}", look), timeout))


def _read_auction(auction_id: str, reply: Sequence[Any]) -> Auction:
    told = fields_of(reply[3:])
    price = reply[2] or told.get("standing")
    state = AuctionState(told["state"].decode())
    outcome = None
    if state == AuctionState.CLOSED:
        outcome = AuctionOutcome(
            winner=text_of(told, "winner"),
            price=float(told["price"]) if "price" in told else None,
            sequence=int(told["place"]) if "winner" in told else None,
            reason=told["reason"].decode(),
            closed_at=int(told["ended"]) / 1e6,
        )
    return Auction(
        id=auction_id,
        auction_type=AuctionType(told["type"].decode()),
        state=state,
        version=int(told["version"]),
        opened_at=int(told["opened"]) / 1e6,
        closes_at=time_of(told, "closes"),
        current_price=float(price) if price else None,
        leader=text_of(told, "leader"),
        outcome=outcome,
    )
