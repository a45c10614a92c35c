"""Auctions; the module has the name that it has in the in-memory interface."""

from converge_redis.bidding.model import AuctionOutcome, AuctionSnapshot, AuctionState, AuctionType, Bid
from converge_redis.bidding.protocol import AsyncBiddingProtocol, BiddingProtocol

__all__ = [
    "AsyncBiddingProtocol",
    "AuctionOutcome",
    "AuctionSnapshot",
    "AuctionState",
    "AuctionType",
    "Bid",
    "BiddingProtocol",
]
