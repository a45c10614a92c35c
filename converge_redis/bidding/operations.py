"""Verbs that act in auctions: bids by the rules, on server time."""

import secrets
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from converge_redis.bidding.context import REASONS, AuctionSpace, Opening, about, commitment_to
from converge_redis.bidding.model import (
    AuctionOutcome,
    AuctionState,
    check_amount,
)
from converge_redis.bidding.query import changed, get_auction, parts_of, rows
from converge_redis.core.codec import encode
from converge_redis.core.ids import call_id
from converge_redis.core.operation import Argument, Operation, Steps, ask
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import LEAST_RETENTION, done, microseconds
from converge_redis.core.validation import check_id, check_seconds
from converge_redis.errors import ActRefusedError, ConfigurationError, InvalidValueError

_OPEN_AUCTION = Script("bidding/open_auction")
_SUBMIT_BID = Script("bidding/submit_bid")
_REVEAL = Script("bidding/reveal")
_RESOLVE = Script("bidding/resolve")
_AWARD = Script("bidding/award")

T = TypeVar("T")


def open(space: AuctionSpace) -> Operation[None]:  # noqa: A001 - the verb
    """Open the auction: its time runs from now. A second opening has no effect.

    The first call of `submit_bid`, `resolve` or `award` does it too.

    Raises:
        ConfigurationError: The protocol was made without terms, by `of`.
    """
    if space.terms is None:
        raise ConfigurationError(
            f"auction {space.auction_id!r} has to be opened by a protocol that is given its terms"
        )
    retention = microseconds(max(space.retention_sec, LEAST_RETENTION))
    arguments = (space.auction_id, *space.terms.as_arguments(), "retention", retention)
    return about(space, _OPEN_AUCTION, arguments, lambda _reply: None)


def _opened(space: AuctionSpace, operation: Operation[T]) -> Steps[T]:
    """Carry an operation out; where the auction is unknown, open it first."""
    read = operation.decode
    reply = yield from ask(Operation(operation.script, operation.keys, operation.args, tuple))
    if reply[0] == b"UNKNOWN" and space.terms is not None:
        yield from ask(open(space))
        reply = yield from ask(Operation(operation.script, operation.keys, operation.args, tuple))
    return read((b"REFUSED", b"unknown") if reply[0] == b"UNKNOWN" else reply)


def submit_bid(
    space: AuctionSpace, agent_id: str, amount: float, content: Any = None, *, strict: bool = False
) -> Steps[bool]:
    """Bid.

    In a sealed auction an agent has one bid, and a later one takes its place; with commitments, only a digest
    (SHA-256, with a nonce of 256 random bits) leaves this process before the close, and only this protocol
    object can reveal it. In an English auction a bid has to beat the standing one by the increment, and the
    leader does not outbid itself. In a Dutch auction it accepts the price, with the amount as the limit.

    Args:
        agent_id: The agent that bids.
        amount: How much: finite, and exact as a float.
        content: What goes with the bid; it is as secret as the amount.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the auction is closed or unknown, or its rules do not allow the bid.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"late"``, ``"increment"``, ``"leader"``, ``"limit"``
            (Dutch: the price has not come to the limit) or ``"unknown"``.
        InvalidTypeError, InvalidValueError: An argument is malformed.
        AuctionExistsError: The auction was opened with other terms.
    """
    check_id("agent_id", agent_id)
    told, data = check_amount("amount", amount), encode("content", content, space.payload_limit)
    opening: Opening | None = None
    if space.terms is not None and space.terms.reveal_sec is not None:
        nonce = secrets.token_hex(32)
        opening = Opening(commitment_to(told, nonce, data), told, nonce, data)
    arguments: tuple[Argument, ...] = (
        call_id(),
        space.auction_id,
        space.digest,
        agent_id,
        opening.commitment if opening else told,
        b"" if opening else data,
    )
    read = done(f"the bid of agent {agent_id!r} in auction {space.auction_id!r}", REASONS, strict)
    accepted = yield from _opened(space, about(space, _SUBMIT_BID, arguments, read))
    if accepted and opening is not None:
        space.openings[agent_id] = opening
    return accepted


def reveal(space: AuctionSpace, agent_id: str, *, strict: bool = False) -> Operation[bool]:
    """Reveal the bid that an agent has committed itself to by this protocol object.

    `wait_for_outcome` does it for all bids that were made by the same object.

    Args:
        agent_id: The agent.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the auction is still open for bids, or it is too late.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"early"``, ``"late"``, ``"other"`` or ``"unknown"``.
        InvalidValueError: The agent has not bid by this object.
    """
    opening = space.openings.get(check_id("agent_id", agent_id))
    if opening is None:
        raise InvalidValueError(f"agent {agent_id!r} has committed itself to no bid by this object")
    arguments = (space.auction_id, space.digest, agent_id, opening.commitment, opening.amount, opening.nonce)
    read = done(f"revealing the bid of agent {agent_id!r}", REASONS, strict)
    return about(space, _REVEAL, (*arguments, opening.content), lambda reply: read(_refused(reply)))


def _refused(reply: Sequence[Any]) -> Sequence[Any]:
    return (b"REFUSED", b"unknown") if reply[0] == b"UNKNOWN" else reply


def resolve(space: AuctionSpace) -> Steps[str | None]:
    """Close the auction if nothing else closes it, and tell who has won.

    One with a deadline, or an English one with `quiet_sec` or `hard_close_sec`, closes by itself then.

    Returns:
        The winner; None when there is none, or the auction goes on: `outcome` tells which.

    Raises:
        AuctionExistsError: The auction was opened with other terms.
    """
    return (yield from _end(space, _RESOLVE, (), ()))


def award(space: AuctionSpace, task_id: str) -> Steps[str | None]:
    """Do as `resolve` does, and give the winner the claim on a task, in the same script.

    The winner finds its claim, with the token, by ``TaskManager.my_claims``. A second award of the same task
    has no effect.

    Args:
        task_id: The task, pending or delayed; with several shards the one that the protocol was made for.

    Returns:
        The winner, which now holds the claim; None when there is none, or the auction goes on.

    Raises:
        ActRefusedError: The task cannot be claimed, and nothing was changed; ``reason`` is ``"no_task"``,
            ``"not_pending"`` or ``"awarded"``.
        ConfigurationError: The task lives in another shard than the auction.
    """
    check_id("task_id", task_id)
    if space.keys.shard_of(task_id) != space.shard:
        raise ConfigurationError(
            f"task {task_id!r} lives in another shard than auction {space.auction_id!r}; make the protocol "
            "with task_id=, in all processes"
        )
    return (yield from _end(space, _AWARD, (call_id(),), (task_id,)))


def _end(
    space: AuctionSpace, script: Script, first: tuple[Argument, ...], last: tuple[Argument, ...]
) -> Steps[str | None]:
    proof: tuple[Argument, ...] = ("", "")
    while True:
        arguments = (*first, space.auction_id, space.digest, *proof, *last)
        word, *rest = yield from ask(about(space, script, arguments, tuple))
        if word == b"UNKNOWN" and space.terms is not None:
            yield from ask(open(space))
        elif word == b"VERIFY":
            proof = ("1", " ".join((yield from _misfits(space))))
        elif word == b"REFUSED":
            reason = rest[0].decode()
            raise ActRefusedError(
                f"the award of auction {space.auction_id!r} was refused: {REASONS[reason]}", reason
            )
        else:
            return rest[0].decode() or None if rest else None


def _misfits(space: AuctionSpace) -> Steps[list[str]]:
    """Return the numbers of revealed bids that are not what their bidders have committed themselves to."""
    misfits = []
    for number, row, commitment, nonce in (yield from rows(space)):
        amount, _, content = parts_of(row)[1:]
        if commitment and commitment_to(amount.decode(), nonce.decode(), content) != commitment.decode():
            misfits.append(str(int(number)))
    return misfits


def wait_for_outcome(space: AuctionSpace, timeout: float | None) -> Steps[AuctionOutcome | None]:
    """Wait until the auction has ended; nothing is polled meanwhile.

    Bids to which agents have committed themselves by this protocol object are revealed when it is time, and
    the auction is resolved when they all are.

    Args:
        timeout: The most seconds to wait; None: no limit.

    Returns:
        The outcome; None when the time is up, or the auction is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    ends = None if timeout is None else time.monotonic() + check_seconds("timeout", timeout, zero=True)
    known = 0
    auction = yield from ask(get_auction(space))
    while auction is not None and auction.outcome is None:
        if auction.state == AuctionState.REVEALING:
            for agent_id in list(space.openings):
                yield from ask(reveal(space, agent_id))
            yield from resolve(space)
            auction = yield from ask(get_auction(space))
            if auction is None or auction.outcome is not None:
                break
            known = auction.version
        left = None if ends is None else max(ends - time.monotonic(), 0.0)
        auction = yield from changed(space, known, "end", left)
    return auction.outcome if auction else None
