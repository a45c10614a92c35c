"""Auctions."""

from converge_redis.bidding.model import Auction, AuctionOutcome, AuctionState, AuctionType, Bid
from converge_redis.bidding.protocol import AsyncBiddingProtocol, BiddingProtocol

__all__ = [
    "AsyncBiddingProtocol",
    "Auction",
    "AuctionOutcome",
    "AuctionState",
    "AuctionType",
    "Bid",
    "BiddingProtocol",
]
