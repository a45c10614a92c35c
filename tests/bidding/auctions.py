"""Auctions of a fleet, and time that passes for them."""

from collections.abc import Awaitable
from typing import Any

import pytest

from converge_redis import ActRefusedError, AsyncBiddingProtocol, AuctionType, BiddingProtocol
from tests.support.backends import async_until
from tests.support.fleet import Fleet

FIRST, SECOND = AuctionType.FIRST_PRICE_SEALED_BID, AuctionType.SECOND_PRICE_SEALED_BID


def make_auction(fleet: Fleet, kind: str = FIRST, **terms: Any) -> AsyncBiddingProtocol:
    terms.setdefault("auction_id", "auction")
    return fleet.protocol(BiddingProtocol, AsyncBiddingProtocol, kind, **terms)


async def refused(reason: str, call: Awaitable[Any]) -> None:
    with pytest.raises(ActRefusedError) as error:
        await call
    assert error.value.reason == reason


def field(fleet: Fleet, name: str) -> Any:
    """Return a stored field of the auction with the id ``auction``."""
    return fleet.raw.hget(_names(fleet)["auction:"] + "auction", name)


def let_time_pass(fleet: Fleet, seconds: float) -> None:
    """Move the opening and the close of the auction ``auction`` to earlier times."""
    key = _names(fleet)["auction:"] + "auction"
    with fleet.raw.pipeline(transaction=True) as changes:
        for name in ("opened", "closes"):
            if fleet.raw.hexists(key, name):
                changes.hincrby(key, name, -round(seconds * 1e6))
        changes.execute()


async def until_watched(fleet: Fleet, listeners: int = 1) -> None:
    """Wait until some listeners are registered for the auction ``auction``."""
    watchers = _names(fleet)["onlookers:"] + "auction:auction"
    await async_until(lambda: fleet.raw.scard(watchers) == listeners)


def _names(fleet: Fleet) -> dict[str, str]:
    return fleet.namespaces["test"].keys.shard_names(0)
