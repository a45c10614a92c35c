"""Acts whose replies are lost: the call is sent again, and has the effect of one."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from converge_redis import RedisStore, Task
from converge_redis.bidding import operations as bidding
from converge_redis.bidding import query as auction_reading
from converge_redis.bidding.context import AuctionContext
from converge_redis.bidding.model import AuctionTerms
from converge_redis.consensus import operations as voting
from converge_redis.consensus.context import BallotContext
from converge_redis.consensus.model import BallotTerms, fraction_of
from converge_redis.contract_net import operations as contracting
from converge_redis.contract_net.query import get_call
from converge_redis.core.operation import Operation
from converge_redis.delegation import operations as delegating
from converge_redis.negotiation import operations as negotiating
from converge_redis.negotiation.query import get_session, list_sessions
from converge_redis.tasks import submit as submitting
from tests.support.backends import Backend

Run = Callable[[Any], Any]


@pytest.fixture
def twice(backend: Backend) -> Any:
    """Carry work out, each of its operations twice, with the same call ids; the second reply counts."""
    with backend.store() as store:
        yield Twice(store)


class Twice:
    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.space = store._namespace

    def __call__(self, work: Any) -> Any:
        if isinstance(work, Operation):
            return self._send(work)
        try:
            step = next(work)
            while True:
                several = isinstance(step, list)
                step = work.send([self._send(one) for one in step] if several else self._send(step))
        except StopIteration as stop:
            return stop.value

    def _send(self, operation: Operation[Any]) -> Any:
        self.store._run(Operation(operation.script, operation.keys, operation.args, lambda _reply: None))
        return self.store._run(operation)


def test_negotiations(twice: Twice) -> None:
    space = twice.space
    made = twice(negotiating.create_session(space, "a", ["b", "c"], 1, quorum="all"))
    assert twice(negotiating.propose(space, made, "b", 2))
    session = twice(get_session(space, made))
    assert [proposal.content for proposal in session.history] == [1, 2]
    for agent in "ac":
        assert twice(negotiating.accept(space, made, agent))
    assert twice(get_session(space, made)).state == "accepted"
    for end in (
        functools.partial(negotiating.reject, agent_id="b"),
        functools.partial(negotiating.close, by="b"),
    ):
        made = twice(negotiating.create_session(space, "a", ["b"], 1))
        assert twice(end(space, made))
        assert not twice(end(space, made))
    assert twice(list_sessions(space, "a")) == []


def auction(twice: Twice, terms: AuctionTerms) -> AuctionContext:
    return AuctionContext(twice.space, "auction", twice.space.keys.shard_of("auction"), terms)


@pytest.mark.parametrize("kind", ["first_price_sealed_bid", "english"])
def test_bids(twice: Twice, kind: str) -> None:
    space = auction(twice, AuctionTerms(kind))
    for agent, amount in (("a", 1), ("b", 2), ("a", 3)):
        assert twice(bidding.submit_bid(space, agent, amount))
    assert twice(bidding.resolve(space)) == "a"
    bids = twice(auction_reading.bids(space))
    assert [bid.amount for bid in bids] == ([2, 3] if kind != "english" else [1, 2, 3])
    assert bids[-1].sequence == 3


def test_a_price_that_was_accepted(twice: Twice) -> None:
    terms = AuctionTerms("dutch", start_price=5, decrement=1, tick_sec=1000)
    space = auction(twice, terms)
    assert twice(bidding.submit_bid(space, "a", 5))
    assert not twice(bidding.submit_bid(space, "b", 5))


def test_commitments(twice: Twice) -> None:
    terms = AuctionTerms("second_price_sealed_bid", reveal_sec=1000)
    space = auction(twice, terms)
    for agent, amount in (("a", 1), ("b", 2)):
        assert twice(bidding.submit_bid(space, agent, amount))
    assert twice(bidding.resolve(space)) is None
    assert twice(bidding.reveal(space, "a"))
    assert twice(bidding.resolve(space)) is None, "one is missing"
    assert twice(bidding.reveal(space, "b"))
    assert twice(bidding.resolve(space)) == "b"


def test_awards(twice: Twice) -> None:
    space = auction(twice, AuctionTerms("first_price_sealed_bid"))
    task_id = twice(submitting.submit(twice.space, Task()))
    assert twice(bidding.submit_bid(space, "a", 1))
    assert twice(bidding.award(space, task_id)) == "a"


def test_votes(twice: Twice) -> None:
    terms = BallotTerms(None, {"a": 1, "b": 2}, "majority", None, fraction_of(2 / 3), False, True, None)
    space = BallotContext(twice.space, "ballot", terms)
    assert twice(voting.vote(space, "a", "x"))
    assert twice(voting.vote(space, "b", "y")), "also the last one, which closes the ballot"
    assert twice(voting.result(space)).counts == [("y", 2), ("x", 1)]
    other = BallotContext(
        twice.space, "other", BallotTerms(None, None, "majority", None, fraction_of(1), True, True, None)
    )
    for option in "xy":
        assert twice(voting.vote(other, "a", option))
    assert twice(voting.close(other))
    assert not twice(voting.close(other))
    assert twice(voting.result(other)).counts == [("y", 1)]


def test_contracts(twice: Twice) -> None:
    space = twice.space
    made = twice(contracting.call(space, "boss", Task(), ["a", "b"], reply_within_sec=1000))
    assert twice(contracting.propose(space, made, "a", 1))
    assert twice(contracting.refuse(space, made, "b", 1))
    assert twice(contracting.accept(space, made, "a"))
    call = twice(get_call(space, made))
    assert (call.contractor_id, len(call.proposals), call.refusals) == ("a", 1, {"b": 1})


def test_delegations(twice: Twice) -> None:
    space = twice.space
    made = twice(delegating.delegate(space, "a", "b", "read"))
    assert len(twice(delegating.list_delegations(space, delegator_id="a"))) == 1
    assert twice(delegating.revoke(space, made)), "a call that is sent again is not a second revoke"
    assert not twice(delegating.revoke(space, made))
