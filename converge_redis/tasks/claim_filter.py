"""The filter of a claim: which lanes an agent may claim from, encoded for scripts."""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha1

from converge_redis.core.keys import sorted_encoded
from converge_redis.core.operation import Argument
from converge_redis.core.validation import validate_ids

ClaimFilter = tuple[Argument, ...]


def encode_filter(
    pool_ids: Iterable[str] | None, capabilities: Iterable[str] | None, topics: Iterable[str] | None
) -> ClaimFilter:
    """Encode a filter as ``tasks/lua/shared/filter.lua`` reads it.

    Args:
        pool_ids: The agent's pools; None: no filter.
        capabilities: The agent's capabilities; None: no filter.
        topics: The agent's topics; None: no filter.
    """
    return _encode_filter(
        None if pool_ids is None else validate_ids("pool_ids", pool_ids),
        None if capabilities is None else validate_ids("capabilities", capabilities),
        None if topics is None else validate_ids("topics", topics),
    )


@lru_cache(maxsize=1024)
def _encode_filter(
    pool_ids: tuple[str, ...] | None, capabilities: tuple[str, ...] | None, topics: tuple[str, ...] | None
) -> ClaimFilter:
    lists: tuple[list[str] | None, ...] = (
        None if pool_ids is None else sorted_encoded(("", *pool_ids), ":"),
        None if topics is None else sorted_encoded(("", *topics), ":"),
        None if capabilities is None else sorted_encoded(capabilities, ","),
    )
    encoded: list[Argument] = []
    for parts in lists:
        encoded += [-1] if parts is None else [len(parts), *parts]
    return tuple(encoded)


@lru_cache(maxsize=1024)
def filter_id(claim_filter: ClaimFilter) -> str:
    """Return the id of a filter: a digest, under which claimers with the same filter wait together."""
    return sha1(repr(claim_filter).encode(), usedforsecurity=False).hexdigest()[:20]
