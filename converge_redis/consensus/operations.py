"""Ballots: open, vote, close, and reading them."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any, TypeVar

from converge_redis.consensus.context import BallotContext, encode_terms, option_digest
from converge_redis.consensus.model import BallotSnapshot
from converge_redis.consensus.tally import Tally, VotingMethod, tally
from converge_redis.core.codec import decode, encode
from converge_redis.core.durations import microseconds
from converge_redis.core.ids import call_id
from converge_redis.core.operation import Argument, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import (
    MIN_RETENTION,
    accepted,
    decode_fields,
    decode_time,
    refusal,
)
from converge_redis.core.validation import short_repr, validate_id, validate_seconds
from converge_redis.errors import BallotExistsError, ConfigurationError, InvalidTypeError, InvalidValueError
from converge_redis.notifications.watchers import WatchedKey, read_observation, wait_for

_OPEN_BALLOT = Script("consensus/open_ballot")
_VOTE = Script("consensus/vote")
_CLOSE_BALLOT = Script("consensus/close_ballot")
_GET_BALLOT = Script("consensus/get_ballot")

T = TypeVar("T")

MAX_OPTIONS = 1000

_REFUSALS = {
    "not_on_roll": "the agent is not on the roll",
    "voted": "the agent has voted, and votes are final",
    "option": "it is not one of the options",
    "method": "an approval ballot takes a list of options, and other ballots do not",
    "secret": "votes cannot be read before the close",
}


def _operation(
    ballot: BallotContext,
    script: Script,
    arguments: tuple[Argument, ...],
    decode: Callable[[Sequence[Any]], T],
) -> Operation[T]:
    return Operation(script, ballot.namespace.keys.shard_with(ballot.vote_id), arguments, decode)


def open(ballot: BallotContext) -> Operation[None]:  # noqa: A001 - the name of the method
    """Open the ballot: its time runs from now. The first vote opens it too; a second call has no effect.

    Raises:
        ConfigurationError: The object was made without terms, by `of`.
    """
    if ballot.terms is None:
        raise ConfigurationError(
            f"ballot {ballot.vote_id!r} must be opened by an object that is given its terms"
        )
    terms, roll = encode_terms(ballot.namespace, ballot.terms)
    terms += ["retention", str(microseconds(max(ballot.namespace.retention_sec, MIN_RETENTION)))]
    arguments = (ballot.vote_id, len(terms), *terms, *roll)
    return _operation(ballot, _OPEN_BALLOT, arguments, lambda _reply: None)


def vote(ballot: BallotContext, agent_id: str, option: Any, *, strict: bool = False) -> Procedure[bool]:
    """Vote.

    Args:
        agent_id: The agent that votes.
        option: The option; in an approval ballot, the list of options that it approves.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the ballot is closed or unknown, or its rules do not allow the vote.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"late"``, ``"not_on_roll"``, ``"voted"``,
            ``"option"``, ``"method"`` or ``"unknown"``.
        InvalidTypeError, InvalidValueError: An argument is malformed; None is not an option.
        BallotExistsError: The ballot was opened with other terms.
    """
    validate_id("agent_id", agent_id)
    limit, terms = ballot.namespace.payload_limit, ballot.terms
    if option is None:
        raise InvalidValueError("option must not be None, which means no decision")
    is_approval = isinstance(option, list | tuple | set | frozenset) and (
        terms is None or terms.method == VotingMethod.APPROVAL
    )
    if not is_approval and terms is not None and terms.method == VotingMethod.APPROVAL:
        raise InvalidTypeError(
            f"option must be a list of options in an approval ballot, not {short_repr(option)}"
        )
    if is_approval and (not option or None in option or len(option) > MAX_OPTIONS):
        raise InvalidValueError(f"option must have 1 to {MAX_OPTIONS} options, not {short_repr(option)}")
    data = encode("option", option, limit)
    digests = [option_digest(one, limit) for one in (option if is_approval else [option])]
    terms_digest = "" if terms is None else str(encode_terms(ballot.namespace, terms)[0][-1])
    method = "approval" if is_approval else ""
    arguments = (call_id(), ballot.vote_id, terms_digest, agent_id, " ".join(digests), data, method)
    operation = _operation(ballot, _VOTE, arguments, tuple)
    reply = yield from send(operation)
    if reply[0] == b"UNKNOWN" and terms is not None:
        yield from send(open(ballot))
        reply = yield from send(operation)
    if reply[0] == b"OTHER_TERMS":
        raise BallotExistsError(
            f"a ballot with other terms has the id {ballot.vote_id!r}; give the new one another id",
            ballot.vote_id,
        )
    action = f"the vote of agent {agent_id!r} in ballot {ballot.vote_id!r}"
    decode = accepted(action, _REFUSALS, strict, agent_id)
    return decode((b"REFUSED", b"unknown") if reply[0] == b"UNKNOWN" else reply)


def close(ballot: BallotContext, *, strict: bool = False) -> Operation[bool]:
    """Close the ballot now.

    Args:
        strict: Raise an error instead of returning False.

    Returns:
        True; False when it is closed or unknown.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"late"`` or ``"unknown"``.
    """
    decode = accepted(f"closing ballot {ballot.vote_id!r}", _REFUSALS, strict)
    return _operation(ballot, _CLOSE_BALLOT, (call_id(), ballot.vote_id), decode)


def get_ballot(ballot: BallotContext) -> Operation[BallotSnapshot | None]:
    """Read the ballot.

    Returns:
        A snapshot; None when it was not opened yet, or was deleted after its retention.
    """
    return _operation(
        ballot,
        _GET_BALLOT,
        (ballot.vote_id, ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _decode_ballot(ballot.vote_id, reply),
    )


def result(ballot: BallotContext) -> Procedure[Tally | None]:
    """Count the votes of a ballot that is closed, or that is not secret.

    Returns:
        The tally; None when the ballot was not opened yet, or was deleted after its retention.

    Raises:
        ActRefusedError: The ballot is secret and not closed; ``reason`` is ``"secret"``.
    """
    snapshot = yield from send(get_ballot(ballot))
    if snapshot is not None and snapshot.tally is None:
        raise refusal(f"counting the votes of ballot {ballot.vote_id!r}", _REFUSALS, "secret")
    return snapshot.tally if snapshot else None


def wait_for_result(ballot: BallotContext, timeout: float | None = None) -> Procedure[Tally | None]:
    """Wait until the ballot is closed; the server wakes the call.

    Args:
        timeout: The most seconds to wait; None: no limit.

    Returns:
        The tally; None when the time is up, or the ballot is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    if timeout is not None:
        validate_seconds("timeout", timeout, zero=True)
    snapshot = yield from send(get_ballot(ballot))
    if snapshot is not None and snapshot.is_open:
        decode = partial(read_observation, decode=partial(_decode_ballot, ballot.vote_id))
        watched = WatchedKey(
            ballot.namespace.keys.shard_of(ballot.vote_id),
            f"ballot:{ballot.vote_id}",
            lambda listener: _operation(ballot, _GET_BALLOT, (ballot.vote_id, listener), decode),
        )
        snapshot = yield from wait_for(watched, timeout)
    return snapshot.tally if snapshot else None


def _decode_ballot(vote_id: str, reply: Sequence[Any]) -> BallotSnapshot:
    fields = decode_fields(reply[4:])
    votes: dict[str, tuple[Any, int]] = {}
    for i in range(0, len(reply[3]), 2):
        weight, _, choice = reply[3][i + 1].split(b" ", 2)
        votes[reply[3][i].decode()] = (decode(choice), int(weight))
    is_open = fields["state"] == b"open"
    count: Tally | None = None
    if not is_open or "public" in fields:
        by_agent = [votes[agent] for agent in sorted(votes)]
        threshold = Fraction(fields["threshold"].decode())
        method = fields["method"].decode()
        count = tally(method, by_agent, quorum=int(fields["quorum"]), threshold=threshold)
    return BallotSnapshot(
        vote_id=vote_id,
        method=VotingMethod(fields["method"].decode()),
        is_open=is_open,
        cast=int(reply[1]),
        on_roll=int(reply[2]) if "closed_roll" in fields else None,
        opened_at=int(fields["opened"]) / 1e6,
        closes_at=decode_time(fields, "closes"),
        closed_at=decode_time(fields, "ended"),
        votes={agent: choice for agent, (choice, _) in votes.items()} if count else None,
        tally=count,
    )
