"""Ballots: votes, rolls, quorums, closing, and results."""

import asyncio
import math
from fractions import Fraction
from typing import Any

import pytest

from converge_redis import (
    AsyncBallot,
    Ballot,
    BallotExistsError,
    BallotSnapshot,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
)
from tests.protocols.sessions import let_time_pass, refused, until_watched
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet


def make_ballot(fleet: Fleet, **terms: Any) -> AsyncBallot:
    """Make a ballot, with the id ``ballot`` if the terms have no other."""
    terms.setdefault("vote_id", "ballot")
    return fleet.protocol(Ballot, AsyncBallot, **terms)


async def read(ballot: AsyncBallot) -> BallotSnapshot:
    snapshot = await ballot.get_ballot()
    assert snapshot is not None
    return snapshot


async def test_votes_are_final_and_secret(fleet: Fleet) -> None:
    ballot = make_ballot(fleet, options=["yes", "no"])
    assert await ballot.get_ballot() is None
    assert await ballot.result() is None
    assert await ballot.vote("a", "yes") is True
    assert await ballot.vote("a", "no") is False
    await refused("voted", ballot.vote("a", "no", strict=True))
    await refused("option", ballot.vote("b", "maybe", strict=True))
    await refused("secret", ballot.result())
    snapshot = await read(ballot)
    assert (snapshot.is_open, snapshot.cast, snapshot.votes, snapshot.tally) == (True, 1, None, None)
    assert await ballot.close() is True
    assert await ballot.close() is False
    await refused("late", ballot.close(strict=True))
    await refused("late", ballot.vote("b", "yes", strict=True))
    result = await ballot.result()
    assert result is not None
    assert (result.decision, result.reason, result.counts, result.ballots) == (
        "yes",
        "decided",
        [("yes", 1)],
        1,
    )
    assert (await read(ballot)).votes == {"a": "yes"}


async def test_the_last_vote_of_an_agent_counts_if_votes_are_revisable(fleet: Fleet) -> None:
    ballot = make_ballot(fleet, revisable=True, secret=False)
    for option in ("red", "green", "blue"):
        assert await ballot.vote("a", option)
        result = await ballot.result()
        assert result is not None
        assert (result.decision, result.ballots) == (option, 1)
    assert (await read(ballot)).is_open


async def test_votes_have_the_weights_of_the_roll(fleet: Fleet) -> None:
    ballot = make_ballot(fleet, voters={"a": 1, "b": 5, "c": 2})
    await refused("not_on_roll", ballot.vote("z", "x", strict=True))
    assert await ballot.vote("a", "x")
    assert await ballot.vote("c", "x")
    assert (await read(ballot)).on_roll == 3
    assert await ballot.vote("b", "y"), "the last vote of the roll closes the ballot"
    result = await ballot.result()
    assert result is not None
    assert (result.decision, result.weight, result.counts) == ("y", 8, [("y", 5), ("x", 3)])


@pytest.mark.parametrize(("votes", "decision"), [(2, None), (3, "x")])
async def test_fewer_votes_than_the_quorum_decide_nothing(
    fleet: Fleet, votes: int, decision: str | None
) -> None:
    ballot = make_ballot(fleet, quorum=3)
    for number in range(votes):
        assert await ballot.vote(f"agent {number}", "x")
    await ballot.close()
    result = await ballot.result()
    assert result is not None
    assert result.decision == decision
    assert result.reason == ("decided" if decision else "no_quorum")


async def test_options_are_compared_by_value(fleet: Fleet) -> None:
    ballot = make_ballot(fleet, options=[{"a": [1, 2], "b": 3}, [1], True])
    assert await ballot.vote("1", {"b": 3.0, "a": (1, 2)})
    assert await ballot.vote("2", {"a": [1, 2], "b": 3})
    assert await ballot.vote("3", (1,))
    await refused("option", ballot.vote("4", [True], strict=True))
    await refused("option", ballot.vote("4", 1, strict=True))
    assert await ballot.vote("4", True)
    await ballot.close()
    result = await ballot.result()
    assert result is not None
    assert [weight for _, weight in result.counts] == [2, 1, 1]


async def test_approval_votes_name_several_options(fleet: Fleet) -> None:
    ballot = make_ballot(fleet, method="approval", options=["x", "y", "z"])
    assert await ballot.vote("a", ["x", "y"])
    assert await ballot.vote("b", {"y"})
    assert await ballot.vote("c", ["z", "z", "x", "y"])
    await refused("option", ballot.vote("d", ["x", "w"], strict=True))
    malformed: Any
    for malformed in ("x", []):
        with pytest.raises((InvalidTypeError, InvalidValueError), match="option"):
            await ballot.vote("d", malformed)
    await ballot.close()
    result = await ballot.result()
    assert result is not None
    assert (result.decision, result.counts) == ("y", [("y", 3), ("x", 2), ("z", 1)])


async def test_a_ballot_closes_at_its_deadline_without_a_call(fleet: Fleet) -> None:
    ballot = make_ballot(fleet, deadline_sec=1000)
    assert await ballot.vote("a", "x")
    let_time_pass(fleet, "ballot:ballot", 999.95)
    result = await ballot.wait_for_result(TIMEOUT)
    assert result is not None
    assert result.decision == "x"
    snapshot = await read(ballot)
    assert snapshot.closed_at == snapshot.closes_at == pytest.approx(snapshot.opened_at + 1000, abs=1e-5)
    assert await ballot.vote("b", "x") is False


async def test_the_result_is_pushed_to_all_waiting_calls(fleet: Fleet) -> None:
    ballot, other = make_ballot(fleet), make_ballot(fleet)
    await ballot.open()
    assert await ballot.wait_for_result(0) is None
    assert await ballot.wait_for_result(0.02) is None
    waiting = [asyncio.create_task(other.wait_for_result(TIMEOUT)) for _ in range(5)]
    await until_watched(fleet, "ballot:ballot")
    await ballot.vote("a", "x")
    await ballot.close()
    assert await asyncio.gather(*waiting) == [await ballot.result()] * 5
    assert await make_ballot(fleet, vote_id="unknown").wait_for_result(TIMEOUT) is None


async def test_one_of_several_concurrent_votes_of_an_agent_counts(fleet: Fleet) -> None:
    ballot = make_ballot(fleet)
    await ballot.open()
    accepted = await asyncio.gather(*(ballot.vote("a", f"option {number}") for number in range(20)))
    assert accepted.count(True) == 1
    await ballot.close()
    result = await ballot.result()
    assert result is not None
    assert result.decision == f"option {accepted.index(True)}"


async def test_agents_can_vote_without_knowing_the_terms(fleet: Fleet) -> None:
    if fleet.style == "sync":
        guest = fleet.protocol(lambda store: Ballot.of("ballot", store), AsyncBallot)
    else:
        guest = fleet.protocol(Ballot, lambda store: AsyncBallot.of("ballot", store))
    await refused("unknown", guest.vote("guest", "x", strict=True))
    with pytest.raises(ConfigurationError, match="terms"):
        await guest.open()
    ballot = make_ballot(fleet, options=["x", "y"])
    await ballot.open()
    assert await guest.vote("guest", "x")
    await refused("method", guest.vote("other", ["x", "y"], strict=True))
    with pytest.raises(BallotExistsError):
        await make_ballot(fleet, options=["x"]).vote("a", "x")


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ({"method": "veto"}, "method"),
        ({"options": []}, "options"),
        ({"options": ["x", None]}, "options"),
        ({"voters": "abc"}, "voters"),
        ({"voters": []}, "voters"),
        ({"voters": {"a": 0}}, "voters"),
        ({"voters": {"a": 1.5}}, "voters"),
        ({"voters": {"": 1}}, "voters"),
        ({"voters": ["a", "b"], "quorum": 3}, "quorum"),
        ({"quorum": 0}, "quorum"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": 1.01}, "threshold"),
        ({"threshold": math.nan}, "threshold"),
        ({"threshold": "half"}, "threshold"),
        ({"secret": 1}, "secret"),
        ({"deadline_sec": 0}, "deadline_sec"),
        ({"vote_id": ""}, "vote_id"),
    ],
)
def test_invalid_terms_are_refused(terms: dict[str, Any], message: str, fleet: Fleet) -> None:
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        make_ballot(fleet, **terms)


@pytest.mark.parametrize("option", [None, object(), 2**70, {1: object()}])
async def test_invalid_votes_are_refused(fleet: Fleet, option: Any) -> None:
    ballot = make_ballot(fleet)
    with pytest.raises((InvalidTypeError, InvalidValueError), match="option"):
        await ballot.vote("a", option)
    assert await ballot.get_ballot() is None


async def test_a_threshold_may_be_a_fraction_or_a_float(fleet: Fleet) -> None:
    for number, threshold in enumerate((Fraction(2, 3), 2 / 3)):
        ballot = make_ballot(fleet, vote_id=f"{number}", method="supermajority", threshold=threshold)
        for agent, option in (("a", "x"), ("b", "x"), ("c", "y")):
            await ballot.vote(agent, option)
        await ballot.close()
        result = await ballot.result()
        assert result is not None
        assert result.decision == "x"
