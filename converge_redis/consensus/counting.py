"""Counting votes in one process, by pure functions."""

from collections.abc import Hashable, Iterable
from typing import Any

from converge_redis.core.validation import short_repr
from converge_redis.errors import InvalidTypeError


class Consensus:
    """Decisions by vote: pure functions of the votes that were cast.

    Options count by value: equal dicts, lists and sets are one option, lists and tuples alike; True is not 1.
    """

    @staticmethod
    def majority_vote(votes: Iterable[Any]) -> Any | None:
        """Return the option with more than half of the votes.

        Args:
            votes: The option of each vote.

        Returns:
            The option, as it came first; None when none has more than half, or there are no votes.

        Raises:
            InvalidTypeError: The votes, or an option among them, cannot be counted.
        """
        counts = weigh(_each_once(votes))
        total = sum(count for _, count in counts)
        return next((option for option, count in counts if 2 * count > total), None)

    @staticmethod
    def plurality_vote(votes: Iterable[Any]) -> Any | None:
        """Return the option with more votes than any other.

        Args:
            votes: The option of each vote.

        Returns:
            The option, as it came first; None for a tie, or when there are no votes.

        Raises:
            InvalidTypeError: The votes, or an option among them, cannot be counted.
        """
        return winner(weigh(_each_once(votes)))


def _each_once(votes: Iterable[Any]) -> Iterable[tuple[Any, int]]:
    if isinstance(votes, str | bytes) or not isinstance(votes, Iterable):
        raise InvalidTypeError(f"votes must be a list of options, not {short_repr(votes)}")
    return ((option, 1) for option in votes)


def weigh(votes: Iterable[tuple[Any, int]]) -> list[tuple[Any, int]]:
    """Return each option with the weight of its votes, in the order in which they first came up."""
    options: dict[Hashable, Any] = {}
    weights: dict[Hashable, int] = {}
    for option, weight in votes:
        value = _value(option)
        options.setdefault(value, option)
        weights[value] = weights.get(value, 0) + weight
    return [(options[value], weight) for value, weight in weights.items()]


def winner(counts: list[tuple[Any, int]]) -> Any | None:
    """Return the option with more weight than any other; None for a tie, and for no options."""
    most = max((weight for _, weight in counts), default=0)
    first = [option for option, weight in counts if weight == most]
    return first[0] if len(first) == 1 else None


def _value(option: Any) -> Hashable:
    """Return a key that is equal for options that count as one."""
    if isinstance(option, dict):
        return "dict", frozenset((_value(key), _value(value)) for key, value in option.items())
    if isinstance(option, list | tuple):
        return "list", tuple(_value(item) for item in option)
    if isinstance(option, set | frozenset):
        return "set", frozenset(_value(item) for item in option)
    if isinstance(option, float) and option != option:  # noqa: PLR0124 - NaN is the one that is not itself
        return "nan"
    try:
        hash(option)
    except TypeError:
        raise InvalidTypeError(
            f"votes cannot be counted for {short_repr(option)}: it cannot be compared by value"
        ) from None
    return ("bool" if isinstance(option, bool) else "value"), option
