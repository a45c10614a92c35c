"""Ballots: votes of a whole fleet, with one decision."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Self

from converge_redis.consensus import operations as voting
from converge_redis.consensus.model import BallotState, BallotTerms
from converge_redis.consensus.operations import BallotSpace
from converge_redis.consensus.tally import Tally, VotingMethod
from converge_redis.core.ids import uuid7
from converge_redis.core.validation import check_id
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import AsyncSpacedStore, SpacedStore, async_store, blocking_store
from converge_redis.store.methods import AsyncFacade, Facade, averb, verb
from converge_redis.store.redis_store import RedisStore

__all__ = ["AsyncBallot", "Ballot", "BallotState", "Tally", "VotingMethod"]

TWO_THIRDS = Fraction(2, 3)


class Ballot(Facade):
    """One vote of many agents, for blocking code; all processes with the same store and id share it.

    Each agent has one vote. The ballot closes at its deadline, by `close`, or when all on the roll have voted
    for good.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        vote_id: Its id; None: a new one, see the attribute ``vote_id``.
        options: What may be voted for; they count by value. None: anything but None.
        voters: Who may vote, each once or with an integer weight, frozen at the opening; None: everybody.
        method: How the votes decide, one of `VotingMethod`; ties are no decision.
        quorum: How many have to vote for there to be a decision; None: one.
        threshold: The part of the weight that a supermajority needs: a ``Fraction``, or a number that is
            taken for the nearest fraction with a denominator of at most 10,000.
        revisable: Whether a vote may be changed until the close.
        secret: Whether votes cannot be read before the close.
        deadline_sec: Seconds from the opening until it closes; None: never.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Attributes:
        vote_id: The id of the ballot.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
        InvalidTypeError, InvalidValueError: The terms are malformed.
    """

    def __init__(
        self,
        store: RedisStore | None = None,
        vote_id: str | None = None,
        *,
        options: Iterable[Any] | None = None,
        voters: Iterable[str] | Mapping[str, int] | None = None,
        method: str = VotingMethod.MAJORITY,
        quorum: int | None = None,
        threshold: Fraction | float = TWO_THIRDS,
        revisable: bool = False,
        secret: bool = True,
        deadline_sec: float | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        terms = BallotTerms(
            None if options is None else tuple(options),
            None if voters is None else voting.roll_of(voters),
            method,
            quorum,
            voting.fraction(threshold),
            revisable,
            secret,
            deadline_sec,
        )
        self._set_up(terms, blocking_store(self, store), vote_id, coordination_metrics)

    @classmethod
    def of(
        cls,
        vote_id: str,
        store: RedisStore | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> Self:
        """Take part in a ballot that somebody else opens, whatever its terms.

        Args:
            vote_id: Its id.
            store: See the class.
            coordination_metrics: See the class.
        """
        ballot = cls.__new__(cls)
        ballot._set_up(None, blocking_store(ballot, store), vote_id, coordination_metrics)
        return ballot

    def _set_up(
        self,
        terms: BallotTerms | None,
        store: RedisStore,
        vote_id: str | None,
        metrics: CoordinationMetrics | None,
    ) -> None:
        self.vote_id = uuid7() if vote_id is None else check_id("vote_id", vote_id)
        space = BallotSpace.of(store.namespace, self.vote_id, terms)
        self._store: SpacedStore = SpacedStore(store, space)
        self._metrics = metrics

    @property
    def store(self) -> RedisStore:
        """The store that the ballot is in."""
        return self._store.store

    open = verb(voting.open)
    vote = verb(voting.vote)
    close = verb(voting.close)
    get_ballot = verb(voting.get_ballot)
    result = verb(voting.result)
    wait_for_result = verb(voting.wait_for_result)


class AsyncBallot(AsyncFacade):
    """One vote of many agents, for code on asyncio; all processes with the same store and id share it.

    Each agent has one vote. The ballot closes at its deadline, by `close`, or when all on the roll have voted
    for good.

    Args:
        store: Where the state is; None: ``CONVERGE_REDIS_URL``, else this process's embedded server.
        vote_id: Its id; None: a new one, see the attribute ``vote_id``.
        options: What may be voted for; they count by value. None: anything but None.
        voters: Who may vote, each once or with an integer weight, frozen at the opening; None: everybody.
        method: How the votes decide, one of `VotingMethod`; ties are no decision.
        quorum: How many have to vote for there to be a decision; None: one.
        threshold: The part of the weight that a supermajority needs: a ``Fraction``, or a number that is
            taken for the nearest fraction with a denominator of at most 10,000.
        revisable: Whether a vote may be changed until the close.
        secret: Whether votes cannot be read before the close.
        deadline_sec: Seconds from the opening until it closes; None: never.
        coordination_metrics: Where to report measurements; see `converge_redis.observability.metrics`.

    Attributes:
        vote_id: The id of the ballot.

    Raises:
        ConfigurationError: No store is given, and neither of the two ways to find one works.
        InvalidTypeError, InvalidValueError: The terms are malformed.
    """

    def __init__(
        self,
        store: AsyncRedisStore | None = None,
        vote_id: str | None = None,
        *,
        options: Iterable[Any] | None = None,
        voters: Iterable[str] | Mapping[str, int] | None = None,
        method: str = VotingMethod.MAJORITY,
        quorum: int | None = None,
        threshold: Fraction | float = TWO_THIRDS,
        revisable: bool = False,
        secret: bool = True,
        deadline_sec: float | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> None:
        terms = BallotTerms(
            None if options is None else tuple(options),
            None if voters is None else voting.roll_of(voters),
            method,
            quorum,
            voting.fraction(threshold),
            revisable,
            secret,
            deadline_sec,
        )
        self._set_up(terms, async_store(self, store), vote_id, coordination_metrics)

    @classmethod
    def of(
        cls,
        vote_id: str,
        store: AsyncRedisStore | None = None,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> Self:
        """Take part in a ballot that somebody else opens, whatever its terms.

        Args:
            vote_id: Its id.
            store: See the class.
            coordination_metrics: See the class.
        """
        ballot = cls.__new__(cls)
        ballot._set_up(None, async_store(ballot, store), vote_id, coordination_metrics)
        return ballot

    def _set_up(
        self,
        terms: BallotTerms | None,
        store: AsyncRedisStore,
        vote_id: str | None,
        metrics: CoordinationMetrics | None,
    ) -> None:
        self.vote_id = uuid7() if vote_id is None else check_id("vote_id", vote_id)
        space = BallotSpace.of(store.namespace, self.vote_id, terms)
        self._store: AsyncSpacedStore = AsyncSpacedStore(store, space)
        self._metrics = metrics

    @property
    def store(self) -> AsyncRedisStore:
        """The store that the ballot is in."""
        return self._store.store

    open = averb(voting.open)
    vote = averb(voting.vote)
    close = averb(voting.close)
    get_ballot = averb(voting.get_ballot)
    result = averb(voting.result)
    wait_for_result = averb(voting.wait_for_result)
