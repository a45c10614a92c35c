"""The bidding protocols: auctions of four types, each with one winner by its rules."""

from abc import ABC, abstractmethod
from typing import Any, Generic, Self, TypeVar

from converge_redis.bidding import operations, query
from converge_redis.bidding.context import AuctionContext
from converge_redis.bidding.model import AuctionTerms, AuctionType
from converge_redis.core.ids import uuid7
from converge_redis.core.validation import validate_id
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import async_store, blocking_store
from converge_redis.store.methods import Asynchronous, Blocking, async_method, method
from converge_redis.store.redis_store import RedisStore

S = TypeVar("S", bound=Any)


class _AuctionProtocol(ABC, Generic[S]):
    """What `BiddingProtocol` and `AsyncBiddingProtocol` have in common.

    Attributes:
        auction_id: The id of the auction.
    """

    def __init__(
        self,
        auction_type: str = AuctionType.FIRST_PRICE_SEALED_BID,
        store: S | None = None,
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
        """Make the protocol of an auction with these terms; the first action opens the auction.

        Args:
            auction_type: One of `AuctionType`. Sealed: the highest bid wins and pays its own amount (first
                price) or the second highest one (second price; Vickrey, Counterspeculation, Auctions, and
                Competitive Sealed Tenders, 1961), with ties to the earliest bid; a sole bidder pays the
                reserve, or 0 where there is none. English: bids rise, and the last one wins. Dutch: the price
                falls until a bid accepts it.
            store: Where the state is; None: the default store.
            auction_id: Its id; None: a new one, see the attribute ``auction_id``.
            task_id: The task that `award` will give to the winner; needed where the store has several shards.
            direction: ``"max"``: the highest bid is the best; ``"min"``: the lowest one is (procurement).
            reserve: A bid that does not reach it cannot win.
            increment: English: by how much a bid must beat the standing one; None: by any amount.
            start_price: Dutch: the price at the opening.
            decrement: Dutch: by how much the price falls at each tick, or rises with direction ``"min"``,
                until it is the reserve.
            tick_sec: Dutch: seconds between ticks.
            deadline_sec: Seconds from the opening to the close; None: `resolve` closes it, or `quiet_sec` or
                `hard_close_sec` do.
            quiet_sec: English: it closes after this many seconds without a bid, but not before the deadline.
            hard_close_sec: English: it closes this many seconds after the opening at the latest.
            reveal_sec: Sealed: bids are commitments until the close, and void unless they are revealed within
                this many seconds. None: the server keeps the bids secret.
            coordination_metrics: Where to report measurements; see `CoordinationMetrics`.

        Raises:
            ConfigurationError: No store is given, and there is no default one.
            InvalidTypeError, InvalidValueError: The terms are malformed, or do not go together.
        """
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
        self._set_up(terms, store, auction_id, task_id, coordination_metrics)

    @classmethod
    def of(
        cls,
        auction_id: str,
        store: S | None = None,
        *,
        task_id: str | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> Self:
        """Join an auction that another process opens, by its id.

        Not for auctions with commitments (`reveal_sec`): only the object that made a bid can reveal it.

        Args:
            auction_id: Its id.
            store: See the constructor.
            task_id: See the constructor.
            coordination_metrics: See the constructor.
        """
        protocol = cls.__new__(cls)
        protocol._set_up(None, store, auction_id, task_id, coordination_metrics)
        return protocol

    def _set_up(
        self,
        terms: AuctionTerms | None,
        store: S | None,
        auction_id: str | None,
        task_id: str | None,
        metrics: CoordinationMetrics | None,
    ) -> None:
        self.auction_id = uuid7() if auction_id is None else validate_id("auction_id", auction_id)
        if task_id is not None:
            validate_id("task_id", task_id)
        self._store: Any = self._validated_store(store)
        self._metrics = metrics
        namespace = self._store._namespace
        shard = namespace.keys.shard_of(task_id or self.auction_id)
        self._target = AuctionContext(namespace, self.auction_id, shard, terms)

    @abstractmethod
    def _validated_store(self, store: S | None) -> S:
        """Return the given store, or the default one."""

    @property
    def store(self) -> S:
        """The store that holds the auction."""
        store: S = self._store
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(auction_id={self.auction_id!r}, store={self._store!r})"


class BiddingProtocol(_AuctionProtocol[RedisStore], Blocking):
    """One auction, for blocking code; all processes with the same namespace and id share it."""

    def _validated_store(self, store: RedisStore | None) -> RedisStore:
        return blocking_store(self, store)

    open = method(operations.open)
    submit_bid = method(operations.submit_bid)
    reveal = method(operations.reveal)
    resolve = method(operations.resolve)
    award = method(operations.award)
    outcome = method(query.outcome)
    bids = method(query.bids)
    get_auction = method(query.get_auction)
    current_price = method(query.current_price)
    wait_for_update = method(query.wait_for_update)
    wait_for_outcome = method(operations.wait_for_outcome)


class AsyncBiddingProtocol(_AuctionProtocol[AsyncRedisStore], Asynchronous):
    """One auction, for code on asyncio; see `BiddingProtocol`."""

    def _validated_store(self, store: AsyncRedisStore | None) -> AsyncRedisStore:
        return async_store(self, store)

    open = async_method(operations.open)
    submit_bid = async_method(operations.submit_bid)
    reveal = async_method(operations.reveal)
    resolve = async_method(operations.resolve)
    award = async_method(operations.award)
    outcome = async_method(query.outcome)
    bids = async_method(query.bids)
    get_auction = async_method(query.get_auction)
    current_price = async_method(query.current_price)
    wait_for_update = async_method(query.wait_for_update)
    wait_for_outcome = async_method(operations.wait_for_outcome)
