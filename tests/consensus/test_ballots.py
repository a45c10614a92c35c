"""Ballots: who may vote when and for what, on every server, in both styles."""

import asyncio
import math
from fractions import Fraction
from typing import Any

import pytest

from converge_redis import (
    ActRefusedError,
    AsyncBallot,
    Ballot,
    BallotExistsError,
    BallotSnapshot,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
)
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet


def ballot(fleet: Fleet, **options: Any) -> AsyncBallot:
    options.setdefault("vote_id", "ballot")
    return fleet.protocol(Ballot, AsyncBallot, **options)


async def read(ballot: AsyncBallot) -> BallotSnapshot:
    state = await ballot.get_ballot()
    assert state is not None
    return state


async def refused(reason: str, call: Any) -> None:
    with pytest.raises(ActRefusedError) as error:
        await call
    assert error.value.reason == reason


async def test_votes_are_final_and_secret(fleet: Fleet) -> None:
    vote = ballot(fleet, options=["yes", "no"])
    assert await vote.get_ballot() is None
    assert await vote.result() is None
    assert await vote.vote("a", "yes") is True
    assert await vote.vote("a", "no") is False
    await refused("voted", vote.vote("a", "no", strict=True))
    await refused("option", vote.vote("b", "maybe", strict=True))
    await refused("secret", vote.result())
    state = await read(vote)
    assert (state.is_open, state.cast, state.votes, state.tally) == (True, 1, None, None)
    assert await vote.close() is True
    assert await vote.close() is False
    await refused("late", vote.close(strict=True))
    await refused("late", vote.vote("b", "yes", strict=True))
    result = await vote.result()
    assert result is not None
    assert (result.decision, result.reason, result.counts, result.ballots) == (
        "yes",
        "decided",
        [("yes", 1)],
        1,
    )
    assert (await read(vote)).votes == {"a": "yes"}


async def test_a_revisable_vote_counts_once(fleet: Fleet) -> None:
    vote = ballot(fleet, revisable=True, secret=False)
    for option in ("red", "green", "blue"):
        assert await vote.vote("a", option)
        result = await vote.result()
        assert result is not None
        assert (result.decision, result.ballots) == (option, 1)
    assert (await read(vote)).is_open


async def test_the_roll_has_weights(fleet: Fleet) -> None:
    vote = ballot(fleet, voters={"a": 1, "b": 5, "c": 2})
    await refused("not_on_roll", vote.vote("z", "x", strict=True))
    assert await vote.vote("a", "x")
    assert await vote.vote("c", "x")
    assert (await read(vote)).on_roll == 3
    assert await vote.vote("b", "y"), "with the last vote the ballot closes"
    result = await vote.result()
    assert result is not None
    assert (result.decision, result.weight, result.counts) == ("y", 8, [("y", 5), ("x", 3)])


@pytest.mark.parametrize(("votes", "decision"), [(2, None), (3, "x")])
async def test_the_quorum_is_exact(fleet: Fleet, votes: int, decision: str | None) -> None:
    vote = ballot(fleet, quorum=3)
    for number in range(votes):
        assert await vote.vote(f"agent {number}", "x")
    await vote.close()
    result = await vote.result()
    assert result is not None
    assert result.decision == decision
    assert result.reason == ("decided" if decision else "no_quorum")


async def test_options_count_by_value(fleet: Fleet) -> None:
    vote = ballot(fleet, options=[{"a": [1, 2], "b": 3}, [1], True])
    assert await vote.vote("1", {"b": 3.0, "a": (1, 2)})
    assert await vote.vote("2", {"a": [1, 2], "b": 3})
    assert await vote.vote("3", (1,))
    await refused("option", vote.vote("4", [True], strict=True))
    await refused("option", vote.vote("4", 1, strict=True))
    assert await vote.vote("4", True)
    await vote.close()
    result = await vote.result()
    assert result is not None
    assert [weight for _, weight in result.counts] == [2, 1, 1]


async def test_approval(fleet: Fleet) -> None:
    vote = ballot(fleet, method="approval", options=["x", "y", "z"])
    assert await vote.vote("a", ["x", "y"])
    assert await vote.vote("b", {"y"})
    assert await vote.vote("c", ["z", "z", "x", "y"])
    await refused("option", vote.vote("d", ["x", "w"], strict=True))
    malformed: Any
    for malformed in ("x", []):
        with pytest.raises((InvalidTypeError, InvalidValueError), match="option"):
            await vote.vote("d", malformed)
    await vote.close()
    result = await vote.result()
    assert result is not None
    assert (result.decision, result.counts) == ("y", [("y", 3), ("x", 2), ("z", 1)])


async def test_a_ballot_closes_by_itself_as_of_its_deadline(fleet: Fleet) -> None:
    vote = ballot(fleet, deadline_sec=0.05)
    assert await vote.vote("a", "x")
    result = await vote.wait_for_result(TIMEOUT)
    assert result is not None
    assert result.decision == "x"
    state = await read(vote)
    assert state.closed_at == state.closes_at == pytest.approx(state.opened_at + 0.05)
    assert await vote.vote("b", "x") is False


async def test_the_result_is_pushed(fleet: Fleet) -> None:
    vote, other = ballot(fleet), ballot(fleet)
    await vote.open()
    assert await vote.wait_for_result(0) is None
    assert await vote.wait_for_result(0.02) is None
    waiting = [asyncio.create_task(other.wait_for_result(TIMEOUT)) for _ in range(5)]
    await asyncio.sleep(0)
    await vote.vote("a", "x")
    await vote.close()
    assert await asyncio.gather(*waiting) == [await vote.result()] * 5
    assert await ballot(fleet, vote_id="unknown").wait_for_result(TIMEOUT) is None


async def test_one_of_many_votes_of_an_agent_at_once_counts(fleet: Fleet) -> None:
    vote = ballot(fleet)
    await vote.open()
    taken = await asyncio.gather(*(vote.vote("a", f"option {number}") for number in range(20)))
    assert taken.count(True) == 1
    await vote.close()
    result = await vote.result()
    assert result is not None
    assert result.decision == f"option {taken.index(True)}"


async def test_others_take_part_without_the_terms(fleet: Fleet) -> None:
    if fleet.style == "sync":
        guest = fleet.protocol(lambda store: Ballot.of("ballot", store), AsyncBallot)
    else:
        guest = fleet.protocol(Ballot, lambda store: AsyncBallot.of("ballot", store))
    await refused("unknown", guest.vote("guest", "x", strict=True))
    with pytest.raises(ConfigurationError, match="terms"):
        await guest.open()
    vote = ballot(fleet, options=["x", "y"])
    await vote.open()
    assert await guest.vote("guest", "x")
    await refused("method", guest.vote("other", ["x", "y"], strict=True))
    with pytest.raises(BallotExistsError):
        await ballot(fleet, options=["x"]).vote("a", "x")


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
def test_malformed_terms_are_refused(terms: dict[str, Any], message: str, fleet: Fleet) -> None:
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        ballot(fleet, **terms)


@pytest.mark.parametrize("option", [None, object(), 2**70, {1: object()}])
async def test_malformed_votes_are_refused(fleet: Fleet, option: Any) -> None:
    vote = ballot(fleet)
    with pytest.raises((InvalidTypeError, InvalidValueError), match="option"):
        await vote.vote("a", option)
    assert await vote.get_ballot() is None


async def test_a_threshold_is_a_fraction(fleet: Fleet) -> None:
    for number, threshold in enumerate((Fraction(2, 3), 2 / 3)):
        vote = ballot(fleet, vote_id=f"{number}", method="supermajority", threshold=threshold)
        for agent, option in (("a", "x"), ("b", "x"), ("c", "y")):
            await vote.vote(agent, option)
        await vote.close()
        result = await vote.result()
        assert result is not None
        assert result.decision == "x"
