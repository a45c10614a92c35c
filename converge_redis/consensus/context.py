"""The context of a ballot: what its operations work on, and the encoding of its terms and options."""

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import msgpack

from converge_redis.consensus.model import BallotTerms
from converge_redis.core.codec import encode
from converge_redis.core.namespace import Namespace


@dataclass(frozen=True, slots=True)
class BallotContext:
    """What the operations of one ballot work on.

    Attributes:
        namespace: The namespace.
        vote_id: The ballot.
        terms: Its terms; None: another process opens it, with terms that this one does not know.
    """

    namespace: Namespace
    vote_id: str
    terms: BallotTerms | None


def encode_terms(namespace: Namespace, terms: BallotTerms) -> tuple[list[str | bytes], list[str]]:
    """Return the terms and the roll as ``open_ballot.lua`` takes them; the last term is a digest of both."""
    fields: dict[str, str] = {
        "method": str(terms.method),
        "quorum": str(terms.quorum or 1),
        "threshold": str(terms.threshold),
    }
    if terms.options is not None:
        digests = [option_digest(option, namespace.payload_limit) for option in terms.options]
        fields["options"] = "," + ",".join(digests) + ","
    flags = {"revisable": terms.revisable, "public": not terms.secret, "closed_roll": terms.roll is not None}
    fields |= {name: "1" for name, is_set in flags.items() if is_set}
    if terms.deadline_sec is not None:
        fields["deadline"] = str(max(1, round(terms.deadline_sec * 1e6)))
    roll = [str(part) for item in (terms.roll or {}).items() for part in item]
    flat = [part for item in fields.items() for part in item]
    return [*flat, "terms", sha256(repr((flat, roll)).encode()).hexdigest()[:20]], roll


def option_digest(option: Any, limit: int) -> str:
    """Return a digest that is equal for options that count as one, as in `Consensus`."""
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
