"""The context of an auction: what its operations work on, and the secrets of commitments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, TypeVar

from converge_redis.bidding.model import AuctionTerms
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation
from converge_redis.core.scripts import Script
from converge_redis.errors import AuctionExistsError

T = TypeVar("T")

REFUSALS = {
    "increment": "it does not beat the standing bid by the increment",
    "leader": "the standing bid is the agent's own",
    "limit": "the price has not reached the agent's limit",
    "early": "commitments can be revealed once the auction is closed for bids",
    "other": "the agent has made no commitment, or another one",
    "no_task": "the task is unknown",
    "not_pending": "the task is not pending",
    "awarded": "the winner was given another task",
    "sealed": "sealed bids cannot be read before the close",
}


@dataclass(frozen=True, slots=True)
class CommitmentSecret:
    """What reveals a commitment; it stays in the process that bids."""

    commitment: str
    amount: str
    nonce: str
    content: bytes


@dataclass(frozen=True, slots=True)
class AuctionContext:
    """What the operations of one auction work on.

    Attributes:
        namespace: The namespace.
        auction_id: The auction.
        shard: The shard that holds it.
        terms: Its terms; None: another process opens it, with terms that this one does not know.
        secrets: By agent, the secret of its commitment.
    """

    namespace: Namespace
    auction_id: str
    shard: int
    terms: AuctionTerms | None
    secrets: dict[str, CommitmentSecret] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The digest of the terms; ``""``: any terms."""
        return "" if self.terms is None else self.terms.as_arguments()[-1]


def auction_operation(
    auction: AuctionContext,
    script: Script,
    arguments: tuple[Argument, ...],
    decode: Callable[[Sequence[Any]], T],
) -> Operation[T]:
    """Return an operation on the auction; it raises an error where the auction has other terms."""

    def decode_known(reply: Sequence[Any]) -> T:
        if reply[0] == b"OTHER_TERMS":
            raise AuctionExistsError(
                f"an auction with other terms has the id {auction.auction_id!r}; give the new one another id",
                auction.auction_id,
            )
        return decode(reply)

    return Operation(script, auction.namespace.keys.shard(auction.shard), arguments, decode_known)


def commit(amount: str, nonce: str, content: bytes) -> str:
    """Return the commitment to a bid: all that leaves the process before the close."""
    return "#" + sha256(f"{nonce} {amount} ".encode() + content).hexdigest()
