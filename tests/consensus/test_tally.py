"""How votes decide, held against counting by hand; and ballots against the pure function."""

from fractions import Fraction
from typing import Any

import fakeredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converge_redis import Ballot, RedisStore
from converge_redis.consensus.tally import VotingMethod, tally

weighted = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 5)), max_size=9)


@given(
    weighted, st.sampled_from([None, 1, 3, 6]), st.sampled_from([Fraction(1, 2), Fraction(2, 3), Fraction(1)])
)
def test_methods(votes: list[tuple[str, int]], quorum: int | None, threshold: Fraction) -> None:
    total = sum(weight for _, weight in votes)
    of = {option: sum(weight for voted, weight in votes if voted == option) for option in "xyz"}
    alone = [one for one in of if of[one] and all(of[one] > of[other] for other in of if other != one)]
    rules: dict[str, Any] = {
        "majority": [one for one in alone if of[one] * 2 > total],
        "plurality": alone,
        "supermajority": [
            one for one in alone if of[one] * threshold.denominator >= threshold.numerator * total
        ],
        "unanimous": [one for one in alone if of[one] == total],
    }
    for method, winners in rules.items():
        enough = len(votes) >= (quorum or 1)
        found = tally(method, votes, quorum=quorum, threshold=threshold)
        assert found.decision == (winners[0] if winners and enough else None)
        assert found.reason == ("no_quorum" if not enough else "decided" if winners else "no_decision")
        assert (found.ballots, found.weight) == (len(votes), total)


@pytest.mark.parametrize("method", list(VotingMethod))
def test_without_votes_nothing_is_decided(method: str) -> None:
    assert tally(method, []).reason == "no_quorum"


def test_half_of_the_weight_twice_is_a_tie() -> None:
    assert tally("supermajority", [("x", 1), ("y", 1)], threshold=Fraction(1, 2)).decision is None


acts = st.lists(st.tuples(st.sampled_from("abcdz"), st.sampled_from(["x", "y", "z"])), max_size=12)
STORE = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer()))


@given(acts, st.booleans(), st.sampled_from(["majority", "plurality", "unanimous"]), st.integers(1, 4))
@settings(deadline=None, max_examples=200)
def test_a_ballot_is_the_pure_function_of_its_valid_votes(
    made: list[tuple[str, str]], revisable: bool, method: str, quorum: int
) -> None:
    roll = {"a": 1, "b": 2, "c": 3, "d": 4}
    ballot = Ballot(STORE, options=["x", "y"], voters=roll, method=method, quorum=quorum, revisable=revisable)
    valid: dict[str, str] = {}
    for agent, option in made:
        closed = not revisable and len(valid) == len(roll)
        allowed = agent in roll and option != "z" and (revisable or agent not in valid) and not closed
        assert ballot.vote(agent, option) is allowed
        if allowed:
            valid[agent] = option
    ballot.close()
    result = ballot.result()
    if not made:
        assert result is None
    else:
        assert result == tally(
            method, [(valid[agent], roll[agent]) for agent in sorted(valid)], quorum=quorum
        )
