"""Ballots: votes of a whole fleet, each with one decision."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Generic, Self, TypeVar

from converge_redis.consensus import operations
from converge_redis.consensus.context import BallotContext
from converge_redis.consensus.model import BallotTerms, fraction_of, roll_of
from converge_redis.consensus.tally import VotingMethod
from converge_redis.core.ids import uuid7
from converge_redis.core.validation import validate_id
from converge_redis.observability.metrics import CoordinationMetrics
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.base import async_store, blocking_store
from converge_redis.store.methods import Asynchronous, Blocking, async_method, method
from converge_redis.store.redis_store import RedisStore

S = TypeVar("S", bound=Any)

TWO_THIRDS = Fraction(2, 3)


class _Ballot(ABC, Generic[S]):
    """What `Ballot` and `AsyncBallot` have in common.

    Attributes:
        vote_id: The id of the ballot.
    """

    def __init__(
        self,
        store: S | None = None,
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
        """Make a ballot with these terms; `open` or the first vote opens it.

        Args:
            store: Where the state is; None: the default store.
            vote_id: Its id; None: a new one, see the attribute ``vote_id``.
            options: The options, which count by value. None: any value but None.
            voters: The agents that may vote, each with weight one, or a mapping to integer weights; frozen at
                the opening. None: any agent may vote.
            method: How the votes decide, one of `VotingMethod`; ties are no decision.
            quorum: How many agents must vote for a decision; None: one.
            threshold: The part of the weight that a supermajority needs: a ``Fraction``, or a number that is
                replaced by the nearest fraction with a denominator of at most 10,000.
            revisable: Whether a vote may be changed until the close.
            secret: Whether votes cannot be read before the close.
            deadline_sec: Seconds from the opening to the close; None: it closes by `close`, or when all
                voters have voted for good.
            coordination_metrics: Where to report measurements; see `CoordinationMetrics`.

        Raises:
            ConfigurationError: No store is given, and there is no default one.
            InvalidTypeError, InvalidValueError: The terms are malformed.
        """
        terms = BallotTerms(
            None if options is None else tuple(options),
            None if voters is None else roll_of(voters),
            method,
            quorum,
            fraction_of(threshold),
            revisable,
            secret,
            deadline_sec,
        )
        self._set_up(terms, store, vote_id, coordination_metrics)

    @classmethod
    def of(
        cls,
        vote_id: str,
        store: S | None = None,
        *,
        coordination_metrics: CoordinationMetrics | None = None,
    ) -> Self:
        """Join a ballot that another process opens, by its id.

        Args:
            vote_id: Its id.
            store: See the constructor.
            coordination_metrics: See the constructor.
        """
        ballot = cls.__new__(cls)
        ballot._set_up(None, store, vote_id, coordination_metrics)
        return ballot

    def _set_up(
        self,
        terms: BallotTerms | None,
        store: S | None,
        vote_id: str | None,
        metrics: CoordinationMetrics | None,
    ) -> None:
        self.vote_id = uuid7() if vote_id is None else validate_id("vote_id", vote_id)
        self._store: Any = self._validated_store(store)
        self._metrics = metrics
        self._target = BallotContext(self._store._namespace, self.vote_id, terms)

    @abstractmethod
    def _validated_store(self, store: S | None) -> S:
        """Return the given store, or the default one."""

    @property
    def store(self) -> S:
        """The store that holds the ballot."""
        store: S = self._store
        return store

    def __repr__(self) -> str:
        return f"{type(self).__name__}(vote_id={self.vote_id!r}, store={self._store!r})"


class Ballot(_Ballot[RedisStore], Blocking):
    """One vote of many agents, for blocking code; all processes with the same namespace and id share it.

    Each agent has one vote. The ballot closes at its deadline, by `close`, or when all agents on the roll
    have voted for good.
    """

    def _validated_store(self, store: RedisStore | None) -> RedisStore:
        return blocking_store(self, store)

    open = method(operations.open)
    vote = method(operations.vote)
    close = method(operations.close)
    get_ballot = method(operations.get_ballot)
    result = method(operations.result)
    wait_for_result = method(operations.wait_for_result)


class AsyncBallot(_Ballot[AsyncRedisStore], Asynchronous):
    """One vote of many agents, for code on asyncio; see `Ballot`."""

    def _validated_store(self, store: AsyncRedisStore | None) -> AsyncRedisStore:
        return async_store(self, store)

    open = async_method(operations.open)
    vote = async_method(operations.vote)
    close = async_method(operations.close)
    get_ballot = async_method(operations.get_ballot)
    result = async_method(operations.result)
    wait_for_result = async_method(operations.wait_for_result)
