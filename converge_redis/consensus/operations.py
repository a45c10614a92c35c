"""Verbs of shared ballots: one vote for each agent, on server time."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

import msgpack

from converge_redis.consensus.model import BallotState, BallotTerms
from converge_redis.consensus.tally import Tally, VotingMethod, tally
from converge_redis.core.codec import decode, encode
from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import LEAST_RETENTION, done, fields_of, microseconds, time_of
from converge_redis.core.validation import check_id, check_seconds, shown
from converge_redis.errors import (
    ActRefusedError,
    BallotExistsError,
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
)
from converge_redis.notifications.watching import Watched, read_look, wait_for
from converge_redis.tasks.waiters import Look

_OPEN_BALLOT = Script("consensus/open_ballot")
_VOTE = Script("consensus/vote")
_CLOSE_BALLOT = Script("consensus/close_ballot")
_GET_BALLOT = Script("consensus/get_ballot")

T = TypeVar("T")

MOST_OPTIONS = 1000

_REASONS = {
    "not_on_roll": "the agent is not on the roll",
    "voted": "the agent has voted, and votes are final",
    "option": "it is not among the options",
    "method": "an approval ballot takes a list of options, and only that does",
    "secret": "votes cannot be read before the close",
}


@dataclass(frozen=True, slots=True)
class BallotSpace(Namespace):
    """A namespace, and the ballot of the object whose verbs are carried out in it.

    Attributes:
        vote_id: The ballot.
        terms: Its terms; None: whatever they are, somebody else opens it.
    """

    vote_id: str = ""
    terms: BallotTerms | None = None

    @classmethod
    def of(cls, space: Namespace, vote_id: str, terms: BallotTerms | None) -> "BallotSpace":
        """Make the same namespace for one ballot."""
        given = {part.name: getattr(space, part.name) for part in fields(Namespace) if part.init}
        return cls(**given, vote_id=vote_id, terms=terms)


def _terms_of(space: BallotSpace, terms: BallotTerms) -> tuple[list[str | bytes], list[str]]:
    """Return the terms and the roll as `open_ballot` takes them, the digest of both among the terms."""
    named: dict[str, str] = {
        "method": str(terms.method),
        "quorum": str(terms.quorum or 1),
        "threshold": str(terms.threshold),
    }
    if terms.options is not None:
        known = [_digest(option, space.payload_limit) for option in terms.options]
        named["options"] = "," + ",".join(known) + ","
    flags = {"revisable": terms.revisable, "public": not terms.secret, "closed_roll": terms.roll is not None}
    named |= {name: "1" for name, is_set in flags.items() if is_set}
    if terms.deadline_sec is not None:
        named["deadline"] = str(max(1, round(terms.deadline_sec * 1e6)))
    roll = [str(part) for item in (terms.roll or {}).items() for part in item]
    flat = [part for item in named.items() for part in item]
    return [*flat, "terms", sha256(repr((flat, roll)).encode()).hexdigest()[:20]], roll


def _digest(option: Any, limit: int) -> str:
    """Return what is equal for options that count as one, as `Consensus` has it."""
    encode("option", option, limit)
    return sha256(msgpack.packb(_canonical(option))).hexdigest()[:32]


def _canonical(option: Any) -> Any:
    if isinstance(option, dict):
        items = [(_canonical(key), _canonical(value)) for key, value in option.items()]
        return ["dict", sorted(items, key=msgpack.packb)]
    if isinstance(option, list | tuple):
        return ["list", [_canonical(item) for item in option]]
    if isinstance(option, set | frozenset):
        return ["set", sorted((_canonical(item) for item in option), key=msgpack.packb)]
    if isinstance(option, float) and math.isfinite(option) and option.is_integer():
        return repr(int(option))
    if isinstance(option, int | float) and not isinstance(option, bool):
        return repr(option)
    return [type(option).__name__, encode("option", option, 2**29)]


def _call(
    space: BallotSpace, script: Script, arguments: tuple[Argument, ...], read: Callable[[Sequence[Any]], T]
) -> Operation[T]:
    return Operation(script, space.keys.shard_with(space.vote_id), arguments, read)


def open(space: BallotSpace) -> Operation[None]:  # noqa: A001 - the verb
    """Open the ballot: its time runs from now. The first vote does it too; a second opening has no effect.

    Raises:
        ConfigurationError: The object was made without terms, by `of`.
    """
    if space.terms is None:
        raise ConfigurationError(
            f"ballot {space.vote_id!r} has to be opened by an object that is given its terms"
        )
    terms, roll = _terms_of(space, space.terms)
    terms += ["retention", str(microseconds(max(space.retention_sec, LEAST_RETENTION)))]
    arguments = (space.vote_id, len(terms), *terms, *roll)
    return _call(space, _OPEN_BALLOT, arguments, lambda _reply: None)


def vote(space: BallotSpace, agent_id: str, option: Any, *, strict: bool = False) -> Steps[bool]:
    """Vote.

    Args:
        agent_id: The agent that votes.
        option: What it votes for; in an approval ballot, the list of options that it approves of.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the ballot is closed or unknown, or its rules do not allow the vote.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"late"``, ``"not_on_roll"``, ``"voted"``,
            ``"option"``, ``"method"`` or ``"unknown"``.
        InvalidTypeError, InvalidValueError: An argument is malformed; None cannot be voted for.
        BallotExistsError: The ballot was opened with other terms.
    """
    check_id("agent_id", agent_id)
    if option is None:
        raise InvalidValueError("option must not be None, which stands for no decision")
    approval = isinstance(option, list | tuple | set | frozenset) and (
        space.terms is None or space.terms.method == VotingMethod.APPROVAL
    )
    if not approval and space.terms is not None and space.terms.method == VotingMethod.APPROVAL:
        raise InvalidTypeError(f"option must be a list of options in an approval ballot, not {shown(option)}")
    if approval and (not option or None in option or len(option) > MOST_OPTIONS):
        raise InvalidValueError(f"option must have 1 to {MOST_OPTIONS} options, not {shown(option)}")
    data = encode("option", option, space.payload_limit)
    named = [_digest(one, space.payload_limit) for one in (option if approval else [option])]
    digest = "" if space.terms is None else str(_terms_of(space, space.terms)[0][-1])
    method = "approval" if approval else ""
    arguments = (call_id(), space.vote_id, digest, agent_id, " ".join(named), data, method)
    operation = _call(space, _VOTE, arguments, tuple)
    reply = yield from ask(operation)
    if reply[0] == b"UNKNOWN" and space.terms is not None:
        yield from ask(open(space))
        reply = yield from ask(operation)
    if reply[0] == b"OTHER_TERMS":
        raise BallotExistsError(
            f"a ballot with other terms has the id {space.vote_id!r}; give the new one another id"
        )
    read = done(f"the vote of agent {agent_id!r} in ballot {space.vote_id!r}", _REASONS, strict)
    return read((b"REFUSED", b"unknown") if reply[0] == b"UNKNOWN" else reply)


def close(space: BallotSpace, *, strict: bool = False) -> Operation[bool]:
    """End the ballot now.

    Args:
        strict: Raise an error instead of returning False.

    Returns:
        True; False when it is closed or unknown.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"late"`` or ``"unknown"``.
    """
    read = done(f"closing ballot {space.vote_id!r}", _REASONS, strict)
    return _call(space, _CLOSE_BALLOT, (call_id(), space.vote_id), read)


def get_ballot(space: BallotSpace) -> Operation[BallotState | None]:
    """Read the ballot.

    Returns:
        A snapshot; None when it was not opened yet, or is no longer kept.
    """
    return _call(
        space,
        _GET_BALLOT,
        (space.vote_id, ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _read_ballot(space.vote_id, reply),
    )


def result(space: BallotSpace) -> Steps[Tally | None]:
    """Count the votes of a ballot that is closed, or that is not secret.

    Returns:
        The tally; None when the ballot was not opened yet, or is no longer kept.

    Raises:
        ActRefusedError: The ballot is secret and not closed; ``reason`` is ``"secret"``.
    """
    ballot = yield from ask(get_ballot(space))
    if ballot is not None and ballot.tally is None:
        raise ActRefusedError(
            f"counting the votes of ballot {space.vote_id!r} was refused: {_REASONS['secret']}", "secret"
        )
    return ballot.tally if ballot else None


def wait_for_result(space: BallotSpace, timeout: float | None) -> Steps[Tally | None]:
    """Wait until the ballot is closed; nothing is polled meanwhile.

    Args:
        timeout: The most seconds to wait; None: no limit.

    Returns:
        The tally; None when the time is up, or the ballot is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    ballot = yield from ask(get_ballot(space))
    if ballot is not None and ballot.is_open:
        ballot = yield from wait_for(
            Watched(
                space.keys.shard_of(space.vote_id),
                f"ballot:{space.vote_id}",
                lambda listener: _call(
                    space, _GET_BALLOT, (space.vote_id, listener), partial(_read_look, space.vote_id)
                ),
            ),
            timeout,
        )
    return ballot.tally if ballot else None


def _read_look(vote_id: str, reply: Sequence[Any]) -> Look[BallotState]:
    return read_look(reply, partial(_read_ballot, vote_id))


def _read_ballot(vote_id: str, reply: Sequence[Any]) -> BallotState:
    told = fields_of(reply[4:])
    votes: dict[str, tuple[Any, int]] = {}
    for i in range(0, len(reply[3]), 2):
        weight, _, choice = reply[3][i + 1].split(b" ", 2)
        votes[reply[3][i].decode()] = (decode(choice), int(weight))
    is_open = told["state"] == b"open"
    count: Tally | None = None
    if not is_open or "public" in told:
        in_order = [votes[agent] for agent in sorted(votes)]
        threshold = Fraction(told["threshold"].decode())
        method = told["method"].decode()
        count = tally(method, in_order, quorum=int(told["quorum"]), threshold=threshold)
    return BallotState(
        vote_id=vote_id,
        method=VotingMethod(told["method"].decode()),
        is_open=is_open,
        cast=int(reply[1]),
        on_roll=int(reply[2]) if "closed_roll" in told else None,
        opened_at=int(told["opened"]) / 1e6,
        closes_at=time_of(told, "closes"),
        closed_at=time_of(told, "ended"),
        votes={agent: choice for agent, (choice, _) in votes.items()} if count else None,
        tally=count,
    )


def roll_of(voters: Iterable[str] | Mapping[str, int]) -> dict[str, int]:
    """Return a roll with its weights; see `Ballot`."""
    if isinstance(voters, Mapping):
        return dict(voters)
    if isinstance(voters, str | bytes) or not isinstance(voters, Iterable):
        raise InvalidTypeError(
            f"voters must be a list of agents or a mapping to weights, not {shown(voters)}"
        )
    return dict.fromkeys(voters, 1)


def fraction(threshold: Any) -> Fraction:
    """Return a threshold as a fraction; see `Ballot`."""
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | Fraction):
        raise InvalidTypeError(f"threshold must be a number, not {shown(threshold)}")
    if isinstance(threshold, float) and not math.isfinite(threshold):
        raise InvalidValueError(f"threshold must be finite, not {threshold}")
    return Fraction(threshold).limit_denominator(10_000)
