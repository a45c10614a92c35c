"""Operations of auctions: open, submit_bid, reveal, resolve, award."""

import secrets
import time
from collections.abc import Sequence
from typing import Any, TypeVar

from converge_redis.bidding.context import (
    REFUSALS,
    AuctionContext,
    CommitmentSecret,
    auction_operation,
    commit,
)
from converge_redis.bidding.model import AuctionOutcome, AuctionState, validate_amount
from converge_redis.bidding.query import bid_rows, get_auction, split_bid, wait_for_change
from converge_redis.core.codec import encode
from converge_redis.core.durations import microseconds
from converge_redis.core.ids import call_id
from converge_redis.core.operation import Argument, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.session_replies import MIN_RETENTION, accepted, refusal
from converge_redis.core.validation import validate_id, validate_seconds
from converge_redis.errors import ConfigurationError, InvalidValueError

_OPEN_AUCTION = Script("bidding/open_auction")
_SUBMIT_BID = Script("bidding/submit_bid")
_REVEAL = Script("bidding/reveal")
_RESOLVE = Script("bidding/resolve")
_AWARD = Script("bidding/award")

T = TypeVar("T")


def open(auction: AuctionContext) -> Operation[None]:  # noqa: A001 - the name of the method
    """Open the auction: its time runs from now. A second call has no effect.

    The first call of `submit_bid`, `resolve` or `award` opens it too.

    Raises:
        ConfigurationError: The protocol was made without terms, by `of`.
        AuctionExistsError: The auction was opened with other terms.
    """
    if auction.terms is None:
        raise ConfigurationError(
            f"auction {auction.auction_id!r} must be opened by a protocol that is given its terms"
        )
    retention = microseconds(max(auction.namespace.retention_sec, MIN_RETENTION))
    terms = auction.terms.as_arguments()
    arguments: tuple[Argument, ...] = (auction.auction_id, *terms, "retention", retention)
    return auction_operation(auction, _OPEN_AUCTION, arguments, lambda _reply: None)


def _open_then(auction: AuctionContext, operation: Operation[T]) -> Procedure[T]:
    """Execute an operation; where the auction is unknown, open it first."""
    undecoded = Operation(operation.script, operation.keys, operation.args, tuple)
    reply = yield from send(undecoded)
    if reply[0] == b"UNKNOWN" and auction.terms is not None:
        yield from send(open(auction))
        reply = yield from send(undecoded)
    return operation.decode(_as_refusal(reply))


def _as_refusal(reply: Sequence[Any]) -> Sequence[Any]:
    return (b"REFUSED", b"unknown") if reply[0] == b"UNKNOWN" else reply


def submit_bid(
    auction: AuctionContext, agent_id: str, amount: float, content: Any = None, *, strict: bool = False
) -> Procedure[bool]:
    """Bid.

    In a sealed auction an agent has one bid, which a later one replaces. With commitments, only a digest
    (SHA-256, with a nonce of 256 random bits) leaves this process before the close, and only this protocol
    object can reveal the bid. In an English auction a bid must beat the standing one by the increment, and
    the leader cannot outbid itself. In a Dutch auction the bid accepts the price, with the amount as its
    limit.

    Args:
        agent_id: The agent that bids.
        amount: The amount: finite, and exact as a float.
        content: Any payload that belongs to the bid; it is as secret as the amount.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the auction is closed or unknown, or its rules do not allow the bid.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"late"``, ``"increment"``, ``"leader"``, ``"limit"``
            (Dutch: the price has not reached the limit) or ``"unknown"``.
        InvalidTypeError, InvalidValueError: An argument is malformed.
        AuctionExistsError: The auction was opened with other terms.
    """
    validate_id("agent_id", agent_id)
    amount_text = validate_amount("amount", amount)
    data = encode("content", content, auction.namespace.payload_limit)
    secret: CommitmentSecret | None = None
    if auction.terms is not None and auction.terms.reveal_sec is not None:
        nonce = secrets.token_hex(32)
        secret = CommitmentSecret(commit(amount_text, nonce, data), amount_text, nonce, data)
    arguments: tuple[Argument, ...] = (
        call_id(),
        auction.auction_id,
        auction.digest,
        agent_id,
        secret.commitment if secret else amount_text,
        b"" if secret else data,
    )
    action = f"the bid of agent {agent_id!r} in auction {auction.auction_id!r}"
    decode = accepted(action, REFUSALS, strict, agent_id)
    is_accepted = yield from _open_then(auction, auction_operation(auction, _SUBMIT_BID, arguments, decode))
    if is_accepted and secret is not None:
        auction.secrets[agent_id] = secret
    return is_accepted


def reveal(auction: AuctionContext, agent_id: str, *, strict: bool = False) -> Operation[bool]:
    """Reveal the bid to which an agent committed itself by this protocol object.

    `wait_for_outcome` does so for all bids of the same object.

    Args:
        agent_id: The agent.
        strict: Raise an error instead of returning False.

    Returns:
        True; False when the auction is still open for bids, or it is too late.

    Raises:
        ActRefusedError: With `strict`; ``reason`` is ``"early"``, ``"late"``, ``"other"`` or ``"unknown"``.
        InvalidValueError: The agent has made no bid by this object.
    """
    secret = auction.secrets.get(validate_id("agent_id", agent_id))
    if secret is None:
        raise InvalidValueError(f"agent {agent_id!r} has made no commitment by this object")
    arguments = (
        auction.auction_id,
        auction.digest,
        agent_id,
        secret.commitment,
        secret.amount,
        secret.nonce,
        secret.content,
    )
    decode = accepted(f"revealing the bid of agent {agent_id!r}", REFUSALS, strict, agent_id)
    return auction_operation(auction, _REVEAL, arguments, lambda reply: decode(_as_refusal(reply)))


def resolve(auction: AuctionContext) -> Procedure[str | None]:
    """Close the auction, unless it closes at a time, and return the winner.

    An auction with a deadline, and an English one with `quiet_sec` or `hard_close_sec`, closes at that time.

    Returns:
        The winner; None when there is none, or the auction is still open: `outcome` distinguishes the two.

    Raises:
        AuctionExistsError: The auction was opened with other terms.
    """
    return (yield from _resolve(auction, _RESOLVE, (), ()))


def award(auction: AuctionContext, task_id: str) -> Procedure[str | None]:
    """Do as `resolve` does, and give the winner the claim on a task, in the same script.

    The winner finds its claim, with the token, by ``TaskManager.list_claims``. A second award of the same
    task has no effect.

    Args:
        task_id: The task, pending or delayed; with several shards the one for which the protocol was made.

    Returns:
        The winner, which now holds the claim; None when there is none, or the auction is still open.

    Raises:
        ActRefusedError: The task cannot be claimed, and nothing was changed; ``reason`` is ``"no_task"``,
            ``"not_pending"`` or ``"awarded"``.
        ConfigurationError: The task is in another shard than the auction.
    """
    validate_id("task_id", task_id)
    if auction.namespace.keys.shard_of(task_id) != auction.shard:
        raise ConfigurationError(
            f"task {task_id!r} is in another shard than auction {auction.auction_id!r}; make the protocol "
            f"with "
            "task_id=, in all processes"
        )
    return (yield from _resolve(auction, _AWARD, (call_id(),), (task_id,)))


def _resolve(
    auction: AuctionContext, script: Script, first: tuple[Argument, ...], last: tuple[Argument, ...]
) -> Procedure[str | None]:
    verified: tuple[Argument, ...] = ("", "")
    while True:
        arguments = (*first, auction.auction_id, auction.digest, *verified, *last)
        word, *rest = yield from send(auction_operation(auction, script, arguments, tuple))
        if word == b"UNKNOWN" and auction.terms is not None:
            yield from send(open(auction))
        elif word == b"VERIFY":
            verified = ("1", " ".join((yield from _invalid_reveals(auction))))
        elif word == b"REFUSED":
            raise refusal(f"the award of auction {auction.auction_id!r}", REFUSALS, rest[0].decode())
        else:
            return rest[0].decode() or None if rest else None


def _invalid_reveals(auction: AuctionContext) -> Procedure[list[str]]:
    """Return the numbers of the revealed bids that do not match their commitments."""
    invalid = []
    for number, row, commitment, nonce in (yield from bid_rows(auction)):
        _, amount, _, content = split_bid(row)
        if commitment and commit(amount.decode(), nonce.decode(), content) != commitment.decode():
            invalid.append(str(int(number)))
    return invalid


def wait_for_outcome(
    auction: AuctionContext, timeout: float | None = None
) -> Procedure[AuctionOutcome | None]:
    """Wait until the auction has ended; the server wakes the call.

    Bids to which agents committed themselves by this protocol object are revealed when the auction closes for
    bids, and the auction is resolved once all are revealed.

    Args:
        timeout: The most seconds to wait; None: no limit.

    Returns:
        The outcome; None when the time is up, or the auction is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    deadline = None if timeout is None else time.monotonic() + validate_seconds("timeout", timeout, zero=True)
    known = 0
    snapshot = yield from send(get_auction(auction))
    while snapshot is not None and snapshot.outcome is None:
        if snapshot.state == AuctionState.REVEALING:
            for agent_id in list(auction.secrets):
                yield from send(reveal(auction, agent_id))
            yield from resolve(auction)
            snapshot = yield from send(get_auction(auction))
            if snapshot is None or snapshot.outcome is not None:
                break
            known = snapshot.version
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0)
        snapshot = yield from wait_for_change(auction, known, "end", left)
    return snapshot.outcome if snapshot else None
