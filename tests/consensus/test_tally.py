"""The tally compared with a simpler count, and ballots compared with the tally of their votes."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis import Ballot, EmbeddedServer, RedisStore
from converge_redis.consensus.tally import VotingMethod, tally

unlimited = settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])

weighted_votes = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 5)), max_size=9)


@unlimited
@given(
    weighted_votes,
    st.sampled_from([None, 1, 3, 6]),
    st.sampled_from([Fraction(1, 2), Fraction(2, 3), Fraction(1)]),
)
def test_each_method_decides_by_its_rule(
    votes: list[tuple[str, int]], quorum: int | None, threshold: Fraction
) -> None:
    total = sum(weight for _, weight in votes)
    weights = {option: sum(weight for voted, weight in votes if voted == option) for option in "xyz"}
    first = [  # at most one option: more weight than each other one
        option
        for option, weight in weights.items()
        if weight and all(weight > weights[other] for other in weights if other != option)
    ]
    winners_by_method: dict[str, Any] = {
        "majority": [option for option in first if weights[option] * 2 > total],
        "plurality": first,
        "supermajority": [
            option
            for option in first
            if weights[option] * threshold.denominator >= threshold.numerator * total
        ],
        "unanimous": [option for option in first if weights[option] == total],
    }
    for method, winners in winners_by_method.items():
        enough = len(votes) >= (quorum or 1)
        found = tally(method, votes, quorum=quorum, threshold=threshold)
        assert found.decision == (winners[0] if winners and enough else None)
        assert found.reason == ("no_quorum" if not enough else "decided" if winners else "no_decision")
        assert (found.ballots, found.weight) == (len(votes), total)


@pytest.mark.parametrize("method", list(VotingMethod))
def test_without_votes_nothing_is_decided(method: str) -> None:
    assert tally(method, []).reason == "no_quorum"


def test_two_options_with_half_of_the_weight_each_are_a_tie() -> None:
    assert tally("supermajority", [("x", 1), ("y", 1)], threshold=Fraction(1, 2)).decision is None


@pytest.fixture(scope="module")
def store(server: EmbeddedServer) -> Iterator[RedisStore]:
    with RedisStore.from_url(server.url, "model of ballots") as store:
        yield store


vote_attempts = st.lists(st.tuples(st.sampled_from("abcdz"), st.sampled_from(["x", "y", "z"])), max_size=12)


@unlimited
@given(
    vote_attempts, st.booleans(), st.sampled_from(["majority", "plurality", "unanimous"]), st.integers(1, 4)
)
def test_the_result_of_a_ballot_is_the_tally_of_its_valid_votes(
    store: RedisStore, attempts: list[tuple[str, str]], revisable: bool, method: str, quorum: int
) -> None:
    roll = {"a": 1, "b": 2, "c": 3, "d": 4}
    ballot = Ballot(store, options=["x", "y"], voters=roll, method=method, quorum=quorum, revisable=revisable)
    valid: dict[str, str] = {}
    for agent, option in attempts:
        is_closed = not revisable and len(valid) == len(roll)
        is_final = agent in valid and not revisable
        is_valid = agent in roll and option != "z" and not is_final and not is_closed
        assert ballot.vote(agent, option) is is_valid
        if is_valid:
            valid[agent] = option
    ballot.close()
    result = ballot.result()
    if not attempts:
        assert result is None
    else:
        assert result == tally(
            method, [(valid[agent], roll[agent]) for agent in sorted(valid)], quorum=quorum
        )
