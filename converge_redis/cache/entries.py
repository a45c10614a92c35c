"""Cache entries: the context of a cache, and the script that finds an entry or locks its computation."""

import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from converge_redis.cache.statistics import CacheCounters
from converge_redis.core.durations import optional_seconds
from converge_redis.core.keys import encode_part
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation
from converge_redis.core.scripts import Script
from converge_redis.core.validation import short_repr, validate_id, validate_ids, validate_seconds
from converge_redis.core.value_format import split_header
from converge_redis.errors import InvalidTypeError, InvalidValueError
from converge_redis.notifications.near_entries import NearEntries, NearEntry, PendingRead

_FIND_OR_LOCK = Script("cache/find_or_lock")

DEFAULT_PREFIX = "cache:"
MAX_TAGS = 100


@dataclass(frozen=True, slots=True, eq=False)
class CacheContext:
    """What the operations of one cache work on.

    Attributes:
        namespace: The namespace.
        prefix: The prefix of its keys.
        early: How eagerly entries are computed again before they expire (the beta of XFetch); 0: not before.
        counters: Its statistics.
    """

    namespace: Namespace
    prefix: str
    early: float
    counters: CacheCounters

    def __post_init__(self) -> None:
        validate_id("prefix", self.prefix)
        if isinstance(self.early, bool) or not isinstance(self.early, int | float):
            raise InvalidTypeError(f"early must be a number, not {short_repr(self.early)}")
        if not 0 <= self.early <= 1000:
            raise InvalidValueError(f"early must be from 0 to 1000, not {short_repr(self.early)}")

    def name(self, key: str) -> str:
        """Return the key of a value in the store."""
        return validate_id("key with the cache's prefix", self.prefix + validate_id("key", key))

    def encode_tags(self, tags: Iterable[str]) -> list[str]:
        """Validate and encode the tags of an entry."""
        if tags == ():
            return []
        unique = dict.fromkeys(validate_ids("tags", tags))
        if len(unique) > MAX_TAGS:
            raise InvalidValueError(f"tags can be {MAX_TAGS} at most, not {len(unique)}")
        return [encode_part(self.prefix + tag) for tag in unique]

    def early_factor(self) -> float:
        """Draw how many times its cost before its end an entry is computed again.

        ``-early * ln(random())``: A. Vattani, F. Chierichetti, K. Lowenstein, "Optimal Probabilistic Cache
        Stampede Prevention", PVLDB 8(8), 2015, algorithm XFetch.
        """
        return -self.early * math.log(1.0 - random.random()) if self.early else 0.0  # noqa: S311


@dataclass(slots=True)
class CacheRequest:
    """The request of one call.

    Attributes:
        name: The key in the store.
        token: The token of the lock that the call may get; ``""``: it does not compute.
        lock_ms: How long the lock lasts.
        early: How many times its cost before its end an entry is computed again.
        tags: The encoded tags.
        awaited: The token of the computation that it waits for.
    """

    name: str
    token: str
    lock_ms: int = 1000
    early: float = 0.0
    tags: Sequence[str] = ()
    awaited: str = ""


@dataclass(slots=True)
class Found:
    """A reply of ``cache/find_or_lock``.

    Attributes:
        word: ``FRESH``, ``STALE``, ``COMPUTE``, ``WAIT``, ``FAILED`` or ``ABSENT``.
        raw: The stored value.
        left: Seconds until it expires, or until the lock that is waited for does.
        cost: Seconds that it took to compute.
        error: Why the computation failed.
    """

    word: bytes
    raw: bytes = b""
    left: float | None = None
    cost: float = 0.0
    error: str = ""


def find_or_lock(cache: CacheContext, request: CacheRequest, listener: str = "") -> Operation[Found]:
    """Find an entry, or lock its computation, or register a listener for its end."""

    def decode(reply: Sequence[Any]) -> Found:
        match reply[0]:
            case b"FRESH":
                return Found(reply[0], reply[1], optional_seconds(reply[2]), int(reply[3]) / 1e6)
            case b"WAIT":
                request.awaited = reply[2].decode()
                return Found(reply[0], left=optional_seconds(reply[1]))
            case b"FAILED":
                return Found(reply[0], error=reply[1].decode(errors="replace"))
        return Found(reply[0], reply[1] if len(reply) > 1 else b"")

    arguments: tuple[Argument, ...] = (
        request.name,
        request.token,
        request.lock_ms,
        f"{request.early:.6f}",
        listener,
        request.awaited,
    )
    return Operation(_FIND_OR_LOCK, cache.namespace.keys.values, (*arguments, *request.tags), decode)


def plainly_fresh(raw: bytes) -> memoryview | None:
    """Return the payload of an entry without tags that is fresh for as long as it exists; else None."""
    header, data = split_header(raw)
    return data if len(header) == 1 or (len(header) == 4 and header[1] == b"-") else None


def decode_hit(cache: CacheContext, name: str, found: Found, read: PendingRead | None) -> Any:
    """Decode a fresh entry, and store it in the near cache."""
    cache.counters.hit(len(found.raw))
    header, data = split_header(found.raw)
    value = cache.namespace.values.decode(data)
    if read is not None:
        tag_keys = {cache.namespace.keys.tag(tag.decode()).encode() for tag in header[4:]}
        if tag_keys <= set(read.keys):
            read.store(
                ("cache", name),
                value,
                partial(cache.namespace.values.decode, data),
                len(found.raw),
                version=int(header[0]),
                valid_for=found.left,
                cost=found.cost,
            )
    return value


def find_near(
    cache: CacheContext, entries: NearEntries, _name: str, args: tuple[Any, ...]
) -> NearEntry | None:
    """Return the entry of the near cache for a key, unless this call is drawn to compute it early."""
    if not args or not isinstance(args[0], str):
        return None
    entry = entries.find(("cache", cache.prefix + args[0]))
    if entry is None or (cache.early and entry.is_due(cache.early_factor())):
        return None
    cache.counters.add("near_hits")
    return entry


def milliseconds(ttl: float, stale_ttl: float) -> tuple[int, int]:
    """Return for how many milliseconds a value is fresh, and for how many it is stored."""
    fresh = max(1, round(validate_seconds("ttl", ttl) * 1000))
    return fresh, fresh + round(validate_seconds("stale_ttl", stale_ttl, zero=True) * 1000)
