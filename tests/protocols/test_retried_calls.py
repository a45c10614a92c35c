"""Calls of all protocols whose reply is lost: the retry takes no effect, and gets the same reply."""

import functools
from typing import Any

import pytest

from converge_redis import RedisStore, Task
from converge_redis.bidding import operations as bidding
from converge_redis.bidding import query as bidding_query
from converge_redis.bidding.context import AuctionContext
from converge_redis.bidding.model import AuctionTerms
from converge_redis.consensus import operations as consensus
from converge_redis.consensus.context import BallotContext
from converge_redis.consensus.model import BallotTerms, fraction_of
from converge_redis.contract_net import operations as contract_net
from converge_redis.contract_net.query import get_call
from converge_redis.core.operation import Operation
from converge_redis.delegation import operations as delegation
from converge_redis.negotiation import operations as negotiation
from converge_redis.negotiation.query import get_session, list_sessions
from converge_redis.tasks.submit import submit
from tests.support.backends import Backend


class Retrying:
    """Executes each operation of a call twice, with the same call id; the second reply is the answer."""

    def __init__(self, store: RedisStore) -> None:
        self.store = store
        self.namespace = store._namespace

    def __call__(self, call: Any) -> Any:
        if isinstance(call, Operation):
            return self._send(call)
        try:
            request = next(call)
            while True:
                if isinstance(request, list):
                    answer: Any = [self._send(operation) for operation in request]
                else:
                    answer = self._send(request)
                request = call.send(answer)
        except StopIteration as stop:
            return stop.value

    def _send(self, operation: Operation[Any]) -> Any:
        self.store._run(Operation(operation.script, operation.keys, operation.args, lambda _reply: None))
        return self.store._run(operation)


@pytest.fixture
def retrying(backend: Backend) -> Any:
    with backend.store() as store:
        yield Retrying(store)


def test_retried_calls_of_negotiations(retrying: Retrying) -> None:
    namespace = retrying.namespace
    session_id = retrying(negotiation.create_session(namespace, "a", ["b", "c"], 1, quorum="all"))
    assert retrying(negotiation.propose(namespace, session_id, "b", 2))
    session = retrying(get_session(namespace, session_id))
    assert [proposal.content for proposal in session.history] == [1, 2]
    for agent in "ac":
        assert retrying(negotiation.accept(namespace, session_id, agent))
    assert retrying(get_session(namespace, session_id)).state == "accepted"
    for end in (
        functools.partial(negotiation.reject, agent_id="b"),
        functools.partial(negotiation.close, by="b"),
    ):
        session_id = retrying(negotiation.create_session(namespace, "a", ["b"], 1))
        assert retrying(end(namespace, session_id))
        assert not retrying(end(namespace, session_id))
    assert retrying(list_sessions(namespace, "a")) == []


def auction_context(retrying: Retrying, terms: AuctionTerms) -> AuctionContext:
    namespace = retrying.namespace
    return AuctionContext(namespace, "auction", namespace.keys.shard_of("auction"), terms)


@pytest.mark.parametrize("kind", ["first_price_sealed_bid", "english"])
def test_retried_bids(retrying: Retrying, kind: str) -> None:
    auction = auction_context(retrying, AuctionTerms(kind))
    for agent, amount in (("a", 1), ("b", 2), ("a", 3)):
        assert retrying(bidding.submit_bid(auction, agent, amount))
    assert retrying(bidding.resolve(auction)) == "a"
    bids = retrying(bidding_query.bids(auction))
    assert [bid.amount for bid in bids] == ([2, 3] if kind != "english" else [1, 2, 3])
    assert bids[-1].sequence == 3


def test_retried_bids_of_a_dutch_auction(retrying: Retrying) -> None:
    terms = AuctionTerms("dutch", start_price=5, decrement=1, tick_sec=1000)
    auction = auction_context(retrying, terms)
    assert retrying(bidding.submit_bid(auction, "a", 5))
    assert not retrying(bidding.submit_bid(auction, "b", 5))


def test_retried_commitments_and_reveals(retrying: Retrying) -> None:
    terms = AuctionTerms("second_price_sealed_bid", reveal_sec=1000)
    auction = auction_context(retrying, terms)
    for agent, amount in (("a", 1), ("b", 2)):
        assert retrying(bidding.submit_bid(auction, agent, amount))
    assert retrying(bidding.resolve(auction)) is None
    assert retrying(bidding.reveal(auction, "a"))
    assert retrying(bidding.resolve(auction)) is None, "one bid is not revealed yet"
    assert retrying(bidding.reveal(auction, "b"))
    assert retrying(bidding.resolve(auction)) == "b"


def test_retried_awards(retrying: Retrying) -> None:
    auction = auction_context(retrying, AuctionTerms("first_price_sealed_bid"))
    task_id = retrying(submit(retrying.namespace, Task()))
    assert retrying(bidding.submit_bid(auction, "a", 1))
    assert retrying(bidding.award(auction, task_id)) == "a"


def test_retried_votes(retrying: Retrying) -> None:
    terms = BallotTerms(None, {"a": 1, "b": 2}, "majority", None, fraction_of(2 / 3), False, True, None)
    ballot = BallotContext(retrying.namespace, "ballot", terms)
    assert retrying(consensus.vote(ballot, "a", "x"))
    assert retrying(consensus.vote(ballot, "b", "y")), (
        "the last vote, which closes the ballot, can be retried too"
    )
    assert retrying(consensus.result(ballot)).counts == [("y", 2), ("x", 1)]
    other = BallotContext(
        retrying.namespace,
        "other",
        BallotTerms(None, None, "majority", None, fraction_of(1), True, True, None),
    )
    for option in "xy":
        assert retrying(consensus.vote(other, "a", option))
    assert retrying(consensus.close(other))
    assert not retrying(consensus.close(other))
    assert retrying(consensus.result(other)).counts == [("y", 1)]


def test_retried_calls_of_the_contract_net(retrying: Retrying) -> None:
    namespace = retrying.namespace
    task_id = retrying(contract_net.call(namespace, "boss", Task(), ["a", "b"], reply_within_sec=1000))
    assert retrying(contract_net.propose(namespace, task_id, "a", 1))
    assert retrying(contract_net.refuse(namespace, task_id, "b", 1))
    assert retrying(contract_net.accept(namespace, task_id, "a"))
    call = retrying(get_call(namespace, task_id))
    assert (call.contractor_id, len(call.proposals), call.refusals) == ("a", 1, {"b": 1})


def test_retried_calls_of_delegations(retrying: Retrying) -> None:
    namespace = retrying.namespace
    delegation_id = retrying(delegation.delegate(namespace, "a", "b", "read"))
    assert len(retrying(delegation.list_delegations(namespace, delegator_id="a"))) == 1
    assert retrying(delegation.revoke(namespace, delegation_id)), "a retry is not a second revoke"
    assert not retrying(delegation.revoke(namespace, delegation_id))
