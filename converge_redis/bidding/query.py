"""Reading auctions: get_auction, outcome, bids, current_price, wait_for_update."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from converge_redis.bidding.context import REFUSALS, AuctionContext, auction_operation
from converge_redis.bidding.model import AuctionOutcome, AuctionSnapshot, AuctionState, AuctionType, Bid
from converge_redis.core.codec import decode
from converge_redis.core.operation import Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import decode_fields, decode_text, decode_time, refusal
from converge_redis.core.validation import validate_seconds
from converge_redis.notifications.waiters import Observation
from converge_redis.notifications.watchers import WatchedKey, read_observation, wait_for

_GET_AUCTION = Script("bidding/get_auction")
_GET_BIDS = Script("bidding/get_bids")

BIDS_PER_SCRIPT = 500


def bids(auction: AuctionContext) -> Procedure[list[Bid]]:
    """List the bids: of a sealed auction one for each bidder, of an English one all accepted bids.

    Returns:
        The bids, in the order of their sequence numbers; an empty list for an unknown auction.

    Raises:
        ActRefusedError: The auction is sealed and not closed; ``reason`` is ``"sealed"``.
    """
    return [_decode_bid(number, row) for number, row, _commitment, _nonce in (yield from bid_rows(auction))]


def bid_rows(auction: AuctionContext) -> Procedure[list[Sequence[Any]]]:
    """Return the bids as they are stored, each with its number, commitment and nonce."""
    found: list[Sequence[Any]] = []
    word, first = b"MORE", 1
    while word == b"MORE":
        arguments = (auction.auction_id, first, BIDS_PER_SCRIPT)
        word, *rows = yield from send(auction_operation(auction, _GET_BIDS, arguments, tuple))
        found += rows
        first += BIDS_PER_SCRIPT
    if word == b"SEALED":
        raise refusal(f"reading the bids of auction {auction.auction_id!r}", REFUSALS, "sealed")
    return found


def split_bid(row: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """Return the time, amount, agent and content of a stored bid."""
    made_at, amount, size, rest = row.split(b" ", 3)
    return made_at, amount, rest[: int(size)], rest[int(size) :]


def _decode_bid(number: Any, row: bytes) -> Bid:
    made_at, amount, agent, content = split_bid(row)
    is_hidden = amount.startswith(b"#")
    return Bid(
        agent_id=agent.decode(),
        amount=None if is_hidden else float(amount),
        content=None if is_hidden else decode(content),
        sequence=int(number),
        timestamp=int(made_at) / 1e6,
    )


def get_auction(auction: AuctionContext) -> Operation[AuctionSnapshot | None]:
    """Read the auction.

    Returns:
        A snapshot, which for a sealed auction shows nothing about its bids; None when it was not opened yet,
        or was deleted after its retention.
    """
    return auction_operation(
        auction,
        _GET_AUCTION,
        (auction.auction_id, "", 0, ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _decode_auction(auction.auction_id, reply),
    )


def outcome(auction: AuctionContext) -> Procedure[AuctionOutcome | None]:
    """Return how the auction ended.

    Returns:
        The outcome; None while it is open, or when it is unknown. The call does not close it.
    """
    snapshot = yield from send(get_auction(auction))
    return snapshot.outcome if snapshot else None


def current_price(auction: AuctionContext) -> Procedure[float | None]:
    """Return the price: of an open Dutch auction by server time, of an English one the standing bid.

    Returns:
        The price; None where there is none.
    """
    snapshot = yield from send(get_auction(auction))
    return snapshot.current_price if snapshot else None


def wait_for_update(
    auction: AuctionContext, timeout: float | None = None, *, since: AuctionSnapshot | None = None
) -> Procedure[AuctionSnapshot | None]:
    """Wait until the auction changes, by a bid in an English one, or by its close; the server wakes the call.

    Args:
        timeout: The most seconds to wait; None: no limit.
        since: The snapshot that the caller knows; a later one is returned at once. None: the auction at the
            time of the call.

    Returns:
        A snapshot with the change; at once when the auction is closed. None when the time is up, or the
        auction is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    if timeout is not None:
        validate_seconds("timeout", timeout, zero=True)
    known = since or (yield from send(get_auction(auction)))
    if known is None or (since is None and known.state == AuctionState.CLOSED):
        return known
    return (yield from wait_for_change(auction, known.version, "", timeout))


def wait_for_change(
    auction: AuctionContext, known: int, change: str, timeout: float | None
) -> Procedure[AuctionSnapshot | None]:
    """Wait until the auction is newer than a version; ``get_auction.lua`` lists the changes."""

    def read_and_watch(listener: str) -> Operation[Observation[AuctionSnapshot]]:
        decode = partial(read_observation, decode=partial(_decode_auction, auction.auction_id))
        arguments = (auction.auction_id, listener, known, change)
        return auction_operation(auction, _GET_AUCTION, arguments, decode)

    watched = WatchedKey(auction.shard, f"auction:{auction.auction_id}", read_and_watch)
    return (yield from wait_for(watched, timeout))


def _decode_auction(auction_id: str, reply: Sequence[Any]) -> AuctionSnapshot:
    fields = decode_fields(reply[3:])
    price = reply[2] or fields.get("standing")
    state = AuctionState(fields["state"].decode())
    outcome = None
    if state == AuctionState.CLOSED:
        outcome = AuctionOutcome(
            winner=decode_text(fields, "winner"),
            price=float(fields["price"]) if "price" in fields else None,
            sequence=int(fields["place"]) if "winner" in fields else None,
            reason=fields["reason"].decode(),
            closed_at=int(fields["ended"]) / 1e6,
        )
    return AuctionSnapshot(
        id=auction_id,
        auction_type=AuctionType(fields["type"].decode()),
        state=state,
        version=int(fields["version"]),
        opened_at=int(fields["opened"]) / 1e6,
        closes_at=decode_time(fields, "closes"),
        current_price=float(price) if price else None,
        leader=decode_text(fields, "leader"),
        outcome=outcome,
    )
