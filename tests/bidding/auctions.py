"""Auctions of a fleet."""

from typing import Any

from converge_redis import AsyncBiddingProtocol, AuctionType, BiddingProtocol
from tests.support.fleet import Fleet

FIRST, SECOND = AuctionType.FIRST_PRICE_SEALED_BID, AuctionType.SECOND_PRICE_SEALED_BID


def make_auction(fleet: Fleet, kind: str = FIRST, **terms: Any) -> AsyncBiddingProtocol:
    """Make an auction, with the id ``auction`` if the terms have no other."""
    terms.setdefault("auction_id", "auction")
    return fleet.protocol(BiddingProtocol, AsyncBiddingProtocol, kind, **terms)
