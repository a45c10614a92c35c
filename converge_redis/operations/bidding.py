"""Verbs of auctions: bids by the rules, on server time."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from hashlib import sha256
from typing import Any, TypeVar

from converge_redis.auction import (
    Auction,
    AuctionOutcome,
    AuctionState,
    AuctionTerms,
    AuctionType,
    Bid,
    check_amount,
)
from converge_redis.checks import check_id, check_seconds
from converge_redis.codec import decode, encode
from converge_redis.errors import ActRefusedError, AuctionExistsError, ConfigurationError, InvalidValueError
from converge_redis.identifiers import call_id
from converge_redis.namespace import Namespace
from converge_redis.operation import Argument, Operation, Steps, ask
from converge_redis.operations.acts import LEAST_RETENTION, done, fields_of, microseconds, text_of, time_of
from converge_redis.operations.listening import Look
from converge_redis.operations.watching import Watched, read_look, wait_for
from converge_redis.scripts import Script

_OPEN_AUCTION = Script("auction/open_auction")
_SUBMIT_BID = Script("auction/submit_bid")
_REVEAL = Script("auction/reveal")
_RESOLVE = Script("auction/resolve")
_AWARD = Script("auction/award")
_GET_AUCTION = Script("auction/get_auction")
_GET_BIDS = Script("auction/get_bids")

T = TypeVar("T")

BIDS_PER_SCRIPT = 500

_REASONS = {
    "increment": "it does not beat the standing bid by the increment",
    "leader": "the standing bid is the agent's own",
    "limit": "the price has not come to the agent's limit",
    "early": "commitments can be revealed when the auction is closed for bids",
    "other": "the agent has committed itself to no bid, or to another one",
    "no_task": "there is no such task",
    "not_pending": "the task is not pending",
    "awarded": "the winner was given another task",
    "sealed": "nothing about sealed bids can be read before the close",
}


@dataclass(frozen=True, slots=True)
class Opening:
    """What opens a commitment; it stays in the process that bids."""

    commitment: str
    amount: str
    nonce: str
    content: bytes


@dataclass(frozen=True, slots=True)
class AuctionSpace(Namespace):
    """A namespace, and the auction of the protocol whose verbs are carried out in it.

    Attributes:
        auction_id: The auction.
        shard: Where it lives.
        terms: Its terms; None: whatever they are, somebody else opens it.
        openings: By agent, what opens the commitments that were made here.
    """

    auction_id: str = ""
    shard: int = 0
    terms: AuctionTerms | None = None
    openings: dict[str, Opening] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls, space: Namespace, auction_id: str, near_task: str | None, terms: AuctionTerms | None
    ) -> "AuctionSpace":
        """Make the same namespace for one auction, in the shard of a task, or else of its id."""
        given = {part.name: getattr(space, part.name) for part in fields(Namespace) if part.init}
        shard = space.keys.shard_of(near_task or auction_id)
        return cls(**given, auction_id=auction_id, shard=shard, terms=terms)

    @property
    def digest(self) -> str:
        """The digest of the terms; "": any."""
        return "" if self.terms is None else self.terms.as_arguments()[-1]


def _call(
    space: AuctionSpace, script: Script, arguments: tuple[Argument, ...], read: Callable[[Sequence[Any]], T]
) -> Operation[T]:
    def read_known(reply: Sequence[Any]) -> T:
        if reply[0] == b"OTHER_TERMS":
            raise AuctionExistsError(
                f"an auction with other terms has the id {space.auction_id!r}; give the new one another id"
            )
        return read(reply)

    return Operation(script, space.keys.shard(space.shard), arguments, read_known)


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
    return _call(space, _OPEN_AUCTION, arguments, lambda _reply: None)


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
        opening = Opening(_commitment(told, nonce, data), told, nonce, data)
    arguments: tuple[Argument, ...] = (
        call_id(),
        space.auction_id,
        space.digest,
        agent_id,
        opening.commitment if opening else told,
        b"" if opening else data,
    )
    read = done(f"the bid of agent {agent_id!r} in auction {space.auction_id!r}", _REASONS, strict)
    accepted = yield from _opened(space, _call(space, _SUBMIT_BID, arguments, read))
    if accepted and opening is not None:
        space.openings[agent_id] = opening
    return accepted


def _commitment(amount: str, nonce: str, content: bytes) -> str:
    return "#" + sha256(f"{nonce} {amount} ".encode() + content).hexdigest()


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
    read = done(f"revealing the bid of agent {agent_id!r}", _REASONS, strict)
    return _call(space, _REVEAL, (*arguments, opening.content), lambda reply: read(_refused(reply)))


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
        word, *rest = yield from ask(_call(space, script, arguments, tuple))
        if word == b"UNKNOWN" and space.terms is not None:
            yield from ask(open(space))
        elif word == b"VERIFY":
            proof = ("1", " ".join((yield from _misfits(space))))
        elif word == b"REFUSED":
            reason = rest[0].decode()
            raise ActRefusedError(
                f"the award of auction {space.auction_id!r} was refused: {_REASONS[reason]}", reason
            )
        else:
            return rest[0].decode() or None if rest else None


def _misfits(space: AuctionSpace) -> Steps[list[str]]:
    """Return the numbers of revealed bids that are not what their bidders have committed themselves to."""
    misfits = []
    for number, row, commitment, nonce in (yield from _rows(space)):
        amount, _, content = _parts(row)[1:]
        if commitment and _commitment(amount.decode(), nonce.decode(), content) != commitment.decode():
            misfits.append(str(int(number)))
    return misfits


def bids(space: AuctionSpace) -> Steps[list[Bid]]:
    """List the bids: of a sealed auction the one of each bidder, of an English one all that were accepted.

    Returns:
        The bids, in the order of their sequence numbers; an empty list for an auction that is unknown.

    Raises:
        ActRefusedError: The auction is sealed and not closed; ``reason`` is ``"sealed"``.
    """
    return [_read_bid(number, row) for number, row, _commitment_, _nonce in (yield from _rows(space))]


def _rows(space: AuctionSpace) -> Steps[list[Sequence[Any]]]:
    found: list[Sequence[Any]] = []
    word, first = b"MORE", 1
    while word == b"MORE":
        word, *rows = yield from ask(
            _call(space, _GET_BIDS, (space.auction_id, first, BIDS_PER_SCRIPT), tuple)
        )
        found += rows
        first += BIDS_PER_SCRIPT
    if word == b"SEALED":
        raise ActRefusedError(
            f"reading the bids of auction {space.auction_id!r} was refused: {_REASONS['sealed']}", "sealed"
        )
    return found


def _parts(row: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    at, amount, size, rest = row.split(b" ", 3)
    return at, amount, rest[: int(size)], rest[int(size) :]


def _read_bid(number: Any, row: bytes) -> Bid:
    at, amount, agent, content = _parts(row)
    hidden = amount.startswith(b"#")
    return Bid(
        agent_id=agent.decode(),
        amount=None if hidden else float(amount),
        content=None if hidden else decode(content),
        sequence=int(number),
        timestamp=int(at) / 1e6,
    )


def get_auction(space: AuctionSpace) -> Operation[Auction | None]:
    """Read the auction.

    Returns:
        A snapshot, of a sealed auction without anything about its bids; None when it was not opened yet, or
        is no longer kept.
    """
    return _call(
        space,
        _GET_AUCTION,
        (space.auction_id, "", 0, ""),
        lambda reply: None if reply[0] == b"UNKNOWN" else _read_auction(space.auction_id, reply),
    )


def outcome(space: AuctionSpace) -> Steps[AuctionOutcome | None]:
    """Tell how the auction ended.

    Returns:
        The outcome; None while it goes on, or when it is unknown. Nothing is closed by asking.
    """
    auction = yield from ask(get_auction(space))
    return auction.outcome if auction else None


def current_price(space: AuctionSpace) -> Steps[float | None]:
    """Tell the price: of an open Dutch auction by server time, or the standing bid of an English one.

    Returns:
        The price; None where there is none.
    """
    auction = yield from ask(get_auction(space))
    return auction.current_price if auction else None


def wait_for_update(
    space: AuctionSpace, timeout: float | None, *, since: Auction | None = None
) -> Steps[Auction | None]:
    """Wait until the auction changes: a bid in an English one, or its close; nothing is polled meanwhile.

    Args:
        timeout: The most seconds to wait; None: no limit.
        since: The snapshot that is known: a later one is returned at once. None: the auction as it is at the
            time of the call.

    Returns:
        A snapshot with the change; that of a closed auction, at once. None when the time is up, or the
        auction is unknown.

    Raises:
        StoreClosedError: The store was closed meanwhile.
    """
    if timeout is not None:
        check_seconds("timeout", timeout, zero=True)
    known = since or (yield from ask(get_auction(space)))
    if known is None or (since is None and known.state == AuctionState.CLOSED):
        return known
    return (yield from _changed(space, known.version, "", timeout))


def _changed(space: AuctionSpace, known: int, what: str, timeout: float | None) -> Steps[Auction | None]:
    def look(listener: str) -> Operation[Look[Auction]]:
        read = partial(read_look, read=partial(_read_auction, space.auction_id))
        return _call(space, _GET_AUCTION, (space.auction_id, listener, known, what), read)

    return (yield from wait_for(Watched(space.shard, f"auction:{space.auction_id}", look), timeout))


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
        auction = yield from _changed(space, known, "end", left)
    return auction.outcome if auction else None


def _read_auction(auction_id: str, reply: Sequence[Any]) -> Auction:
    told = fields_of(reply[3:])
    price = reply[2] or told.get("standing")
    state = AuctionState(told["state"].decode())
    outcome = None
    if state == AuctionState.CLOSED:
        outcome = AuctionOutcome(
            winner=text_of(told, "winner"),
            price=float(told["price"]) if "price" in told else None,
            sequence=int(told["place"]) if "winner" in told else None,
            reason=told["reason"].decode(),
            closed_at=int(told["ended"]) / 1e6,
        )
    return Auction(
        id=auction_id,
        auction_type=AuctionType(told["type"].decode()),
        state=state,
        version=int(told["version"]),
        opened_at=int(told["opened"]) / 1e6,
        closes_at=time_of(told, "closes"),
        current_price=float(price) if price else None,
        leader=text_of(told, "leader"),
        outcome=outcome,
    )
