"""Bidding: auctions of four types, with one winner by the rules."""

from typing import Self

from converge_redis.bidding import operations as bidding
from converge_redis.bidding import query as auction_reading
from converge_redis.bidding.context import AuctionSpace
from converge_redis.bidding.model import Auction, AuctionOutcome, AuctionState, AuctionTerms, AuctionType, Bid
from converge_redis.core.ids import uuid7
from converge_redis.core.validation import check_id
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import AsyncSpacedStore, SpacedStore, async_store, blocking_store
from converge_redis.store.methods import AsyncFacade, Facade, averb, verb
from converge_redis.store.redis_store import RedisStore

__all__ = [
    "AsyncBiddingProtocol",
    "Auction",
    "AuctionOutcome",
    "AuctionState",
    "AuctionType",
    "Bid",
    "BiddingProtocol",
]


class BiddingProtocol(Facade):
    """One auction, for blocking code; all processes with the same store and id take part in the same one.

    Args:
        auction_type: Its rules, one of `AuctionType`. Sealed: the highest bid wins and pays itself (first
            price) or the second highest bid (second price; Vickrey, Counterspeculation, Auctions, and
            Competitive Sealed Tenders, 1961), with ties to the earliest; a sole bidder pays the reserve, or
            0 where there is none, and never more than its bid. English: bids rise, the last one wins. Dutch:
            the price falls until somebody accepts it.
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        auction_id: Its id; None: a new one, see the attribute ``auction_id``.
        task_id: A task that `award` will give to the winner; needed where the store has several shards.
        direction: ``"max"``: who bids most; ``"min"``: who asks least (procurement).
        reserve: No bid that does not reach it wins.
        increment: English: by how much a bid has to beat the standing one; None: at all.
        start_price: Dutch: the price at the opening.
        decrement: Dutch: by how much the price falls at each tick (rises, with direction min), to the
            reserve.
        tick_sec: Dutch: seconds between ticks.
        deadline_sec: Seconds from the opening until it closes; None: `resolve` closes it, or the next
            two do.
        quiet_sec: English: it closes after so many seconds without a bid, not before the deadline.
        hard_close_sec: English: it closes so many seconds after the opening, whatever is bid.
        reveal_sec: Sealed: bids are commitments until the close; bidders have so many seconds to reveal them,
            else their bids are void. None: the server keeps the bids secret.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Attributes:
        auction_id: The id of the auction.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
        InvalidTypeError, InvalidValueError: The terms are malformed, or do not go together.
    """

    def __init__(
        self,
        auction_type: str = AuctionType.FIRST_PRICE_SEALED_BID,
        store: RedisStore | None = None,
        auction_id: str | None = None,
        *,
        task_id: str | None = None,
        direction: str = "max",
        reserve: float | None = None,
        increment: float | None = None,
        start_price: float | None = None,
        decrement: float | None = None,
        tick_sec: float | None = None,
        deadline_sec: float | None = None,
        quiet_sec: float | None = None,
        hard_close_sec: float | None = None,
        reveal_sec: float | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        terms = AuctionTerms(
            auction_type,
            direction,
            reserve,
            increment,
            start_price,
            decrement,
            tick_sec,
            deadline_sec,
            quiet_sec,
            hard_close_sec,
            reveal_sec,
        )
        self._set_up(terms, blocking_store(self, store), auction_id, task_id, coordination_metrics)

    @classmethod
    def of(
        cls,
        auction_id: str,
        store: RedisStore | None = None,
        *,
        task_id: str | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> Self:
        """Take part in an auction that somebody else opens, whatever its terms; not in one with commitments.

        Args:
            auction_id: Its id.
            store: See the class.
            task_id: See the class.
            coordination_metrics: See the class.
        """
        protocol = cls.__new__(cls)
        given = blocking_store(protocol, store)
        protocol._set_up(None, given, auction_id, task_id, coordination_metrics)
        return protocol

    def _set_up(
        self,
        terms: AuctionTerms | None,
        store: RedisStore,
        auction_id: str | None,
        task_id: str | None,
        metrics: CoordinationMetrics | None,
    ) -> None:
        self.auction_id = uuid7() if auction_id is None else check_id("auction_id", auction_id)
        near = None if task_id is None else check_id("task_id", task_id)
        space = AuctionSpace.of(store.namespace, self.auction_id, near, terms)
        self._store: SpacedStore = SpacedStore(store, space)
        self._metrics = metrics

    @property
    def store(self) -> RedisStore:
        """The store that the auction is in."""
        return self._store.store

    open = verb(bidding.open)
    submit_bid = verb(bidding.submit_bid)
    reveal = verb(bidding.reveal)
    resolve = verb(bidding.resolve)
    award = verb(bidding.award)
    outcome = verb(auction_reading.outcome)
    bids = verb(auction_reading.bids)
    get_auction = verb(auction_reading.get_auction)
    current_price = verb(auction_reading.current_price)
    wait_for_update = verb(auction_reading.wait_for_update)
    wait_for_outcome = verb(bidding.wait_for_outcome)


class AsyncBiddingProtocol(AsyncFacade):
    """One auction, for code on asyncio; all processes with the same store and id take part in the same one.

    Args:
        auction_type: Its rules, one of `AuctionType`. Sealed: the highest bid wins and pays itself (first
            price) or the second highest bid (second price; Vickrey, Counterspeculation, Auctions, and
            Competitive Sealed Tenders, 1961), with ties to the earliest; a sole bidder pays the reserve, or
            0 where there is none, and never more than its bid. English: bids rise, the last one wins. Dutch:
            the price falls until somebody accepts it.
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        auction_id: Its id; None: a new one, see the attribute ``auction_id``.
        task_id: A task that `award` will give to the winner; needed where the store has several shards.
        direction: ``"max"``: who bids most; ``"min"``: who asks least (procurement).
        reserve: No bid that does not reach it wins.
        increment: English: by how much a bid has to beat the standing one; None: at all.
        start_price: Dutch: the price at the opening.
        decrement: Dutch: by how much the price falls at each tick (rises, with direction min), to the
            reserve.
        tick_sec: Dutch: seconds between ticks.
        deadline_sec: Seconds from the opening until it closes; None: `resolve` closes it, or the next
            two do.
        quiet_sec: English: it closes after so many seconds without a bid, not before the deadline.
        hard_close_sec: English: it closes so many seconds after the opening, whatever is bid.
        reveal_sec: Sealed: bids are commitments until the close; bidders have so many seconds to reveal them,
            else their bids are void. None: the server keeps the bids secret.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Attributes:
        auction_id: The id of the auction.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
        InvalidTypeError, InvalidValueError: The terms are malformed, or do not go together.
    """

    def __init__(
        self,
        auction_type: str = AuctionType.FIRST_PRICE_SEALED_BID,
        store: AsyncRedisStore | None = None,
        auction_id: str | None = None,
        *,
        task_id: str | None = None,
        direction: str = "max",
        reserve: float | None = None,
        increment: float | None = None,
        start_price: float | None = None,
        decrement: float | None = None,
        tick_sec: float | None = None,
        deadline_sec: float | None = None,
        quiet_sec: float | None = None,
        hard_close_sec: float | None = None,
        reveal_sec: float | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        terms = AuctionTerms(
            auction_type,
            direction,
            reserve,
            increment,
            start_price,
            decrement,
            tick_sec,
            deadline_sec,
            quiet_sec,
            hard_close_sec,
            reveal_sec,
        )
        self._set_up(terms, async_store(self, store), auction_id, task_id, coordination_metrics)

    @classmethod
    def of(
        cls,
        auction_id: str,
        store: AsyncRedisStore | None = None,
        *,
        task_id: str | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> Self:
        """Take part in an auction that somebody else opens, whatever its terms; not in one with commitments.

        Args:
            auction_id: Its id.
            store: See the class.
            task_id: See the class.
            coordination_metrics: See the class.
        """
        protocol = cls.__new__(cls)
        given = async_store(protocol, store)
        protocol._set_up(None, given, auction_id, task_id, coordination_metrics)
        return protocol

    def _set_up(
        self,
        terms: AuctionTerms | None,
        store: AsyncRedisStore,
        auction_id: str | None,
        task_id: str | None,
        metrics: CoordinationMetrics | None,
    ) -> None:
        self.auction_id = uuid7() if auction_id is None else check_id("auction_id", auction_id)
        near = None if task_id is None else check_id("task_id", task_id)
        space = AuctionSpace.of(store.namespace, self.auction_id, near, terms)
        self._store: AsyncSpacedStore = AsyncSpacedStore(store, space)
        self._metrics = metrics

    @property
    def store(self) -> AsyncRedisStore:
        """The store that the auction is in."""
        return self._store.store

    open = averb(bidding.open)
    submit_bid = averb(bidding.submit_bid)
    reveal = averb(bidding.reveal)
    resolve = averb(bidding.resolve)
    award = averb(bidding.award)
    outcome = averb(auction_reading.outcome)
    bids = averb(auction_reading.bids)
    get_auction = averb(auction_reading.get_auction)
    current_price = averb(auction_reading.current_price)
    wait_for_update = averb(auction_reading.wait_for_update)
    wait_for_outcome = averb(bidding.wait_for_outcome)
