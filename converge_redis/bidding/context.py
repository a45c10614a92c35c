"""What the verbs of auctions share: the space of one auction, and its commitments."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any, TypeVar

from converge_redis.bidding.model import AuctionTerms
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation
from converge_redis.core.scripts import Script
from converge_redis.errors import AuctionExistsError

T = TypeVar("T")

REASONS = {
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


def about(
    space: AuctionSpace, script: Script, arguments: tuple[Argument, ...], read: Callable[[Sequence[Any]], T]
) -> Operation[T]:
    """Return an operation on the auction; other terms than the protocol's are an error."""

    def read_known(reply: Sequence[Any]) -> T:
        if reply[0] == b"OTHER_TERMS":
            raise AuctionExistsError(
                f"an auction with other terms has the id {space.auction_id!r}; give the new one another id"
            )
        return read(reply)

    return Operation(script, space.keys.shard(space.shard), arguments, read_known)


def commitment_to(amount: str, nonce: str, content: bytes) -> str:
    """Return what a bidder tells of a bid before the close."""
    return "#" + sha256(f"{nonce} {amount} ".encode() + content).hexdigest()
