"""`Consensus`: the pure functions that decide by votes."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis import Consensus, InvalidTypeError

unlimited = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine

vote_lists = st.lists(st.sampled_from(["a", "b", "c"]), max_size=12)


@unlimited
@given(vote_lists)
def test_a_majority_is_more_than_half_of_the_votes(votes: list[str]) -> None:
    winners = [option for option, count in Counter(votes).items() if count * 2 > len(votes)]
    assert Consensus.majority_vote(votes) == (winners[0] if winners else None)


@unlimited
@given(vote_lists)
def test_a_plurality_is_more_votes_than_any_other_option_has(votes: list[str]) -> None:
    ranked = Counter(votes).most_common()
    is_first_alone = ranked and (len(ranked) == 1 or ranked[0][1] > ranked[1][1])
    assert Consensus.plurality_vote(votes) == (ranked[0][0] if is_first_alone else None)


@pytest.mark.parametrize("count", [Consensus.majority_vote, Consensus.plurality_vote])
def test_options_are_compared_by_value(count: Any) -> None:
    assert count([{"a": [1, 2], "b": 3}, {"b": 3, "a": (1, 2)}, {"a": []}]) == {"a": [1, 2], "b": 3}
    assert count([{1, 2}, frozenset({2, 1}), {3}]) == {1, 2}
    assert count([float("nan"), float("nan"), 1.0]) != 1.0
    assert count([1, 1.0, 2]) == 1
    assert count([True, 1]) is None
    assert count([]) is None


def test_half_of_the_votes_is_no_majority() -> None:
    assert Consensus.majority_vote(["a", "a", "b", "b"]) is None
    assert Consensus.majority_vote(["a", "a", "b", "c"]) is None
    assert Consensus.plurality_vote(["a", "a", "b", "c"]) == "a"


@pytest.mark.parametrize("votes", ["abc", b"abc", None, 3, [bytearray(b"x")]])
def test_invalid_votes_are_refused(votes: Any) -> None:
    for count in (Consensus.majority_vote, Consensus.plurality_vote):
        with pytest.raises(InvalidTypeError, match="votes"):
            count(votes)
