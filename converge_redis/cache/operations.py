"""Verbs of the shared cache: get_or_compute, get, put, delete, delete_tags, clear, count."""

import asyncio
import math
import random
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

from converge_redis.cache.statistics import CacheTally
from converge_redis.core.ids import call_id
from converge_redis.core.keys import encoded
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import (
    Argument,
    Operation,
    Steps,
    ask,
    command,
    compute,
    listen,
    near,
    then_forget,
)
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_choice, check_id, check_ids, check_seconds, shown
from converge_redis.core.value_format import line_of
from converge_redis.errors import ComputeFailedError, ConvergeError, InvalidTypeError, InvalidValueError
from converge_redis.notifications.near_entries import Copy, NearCopies, Reading
from converge_redis.notifications.watching import Watched, wait_for
from converge_redis.store import values
from converge_redis.tasks.waiters import Look, seconds

if TYPE_CHECKING:
    from converge_redis.notifications.listener import Listener
    from converge_redis.notifications.renewed_lock import KeptLock

_LOOK = Script("cache/look")
_RENEW = Script("cache/renew")
_FINISH = Script("cache/finish")
_FAIL = Script("cache/fail")
_PUT = Script("cache/put")
_DELETE_TAGS = Script("cache/delete_tags")

DEFAULT_PREFIX = "cache:"
DEFAULT_LOCK_TTL = 10.0
SHORTEST_LOCK_TTL = 0.1
MOST_TAGS = 100
LONGEST_ERROR = 2000


@dataclass(slots=True, eq=False)
class _Computation:
    """A computation of the caller's, known to all that it calls; tasks that it leaves see that it is over."""

    cache: int
    name: str
    is_over: bool = False


_computations: ContextVar[tuple[_Computation, ...]] = ContextVar("computations", default=())


@dataclass(frozen=True, slots=True)
class CacheSpace(Namespace):
    """A namespace, and the cache whose verbs are carried out in it.

    Attributes:
        prefix: What the keys of its values begin with.
        early: How eagerly entries are computed again before they end; 0: not before.
        tally: What it has done.
    """

    prefix: str = DEFAULT_PREFIX
    early: float = 0.0
    tally: CacheTally = field(default_factory=lambda: CacheTally(DEFAULT_PREFIX, None), compare=False)

    @classmethod
    def of(cls, space: Namespace, prefix: str, early: float, tally: CacheTally) -> "CacheSpace":
        """Make the same namespace for one cache.

        Raises:
            InvalidTypeError, InvalidValueError: A setting is malformed.
        """
        check_id("prefix", prefix)
        if isinstance(early, bool) or not isinstance(early, int | float):
            raise InvalidTypeError(f"early must be a number, not {shown(early)}")
        if not 0 <= early <= 1000:
            raise InvalidValueError(f"early must be from 0 to 1000, not {shown(early)}")
        given = {part.name: getattr(space, part.name) for part in fields(Namespace) if part.init}
        return cls(**given, prefix=prefix, early=float(early), tally=tally)


@dataclass(slots=True)
class Wanted:
    """What one call asks for.

    Attributes:
        name: The key, with the cache's prefix.
        token: The token of the lock that it may get; "": it does not compute.
        lock_ms: How long the lock lasts.
        early: How many times its cost an entry is replaced before it ends.
        tags: The tags, as they are stored.
        awaited: The computation that it waits for.
    """

    name: str
    token: str
    lock_ms: int = 1000
    early: float = 0.0
    tags: Sequence[str] = ()
    awaited: str = ""


@dataclass(slots=True)
class _Found:
    """A reply of `cache/look`."""

    word: bytes
    raw: bytes = b""
    left: float | None = None
    cost: float = 0.0
    error: str = ""


def get_or_compute(
    space: CacheSpace,
    key: str,
    fn: Callable[[], Any],
    ttl: float,
    *,
    stale_ttl: float = 0.0,
    tags: Iterable[str] = (),
    lock_ttl: float = DEFAULT_LOCK_TTL,
    on_error: str = "raise",
) -> Steps[Any]:
    """Return the value under a key, or compute it; see `SharedCache.get_or_compute`."""
    if not callable(fn):
        raise InvalidTypeError(f"fn must be a function, not {shown(fn)}")
    if on_error != "raise":
        check_choice("on_error", on_error, ("raise", "stale"))
    if lock_ttl != DEFAULT_LOCK_TTL and check_seconds("lock_ttl", lock_ttl) < SHORTEST_LOCK_TTL:
        raise InvalidValueError(f"lock_ttl must be at least {SHORTEST_LOCK_TTL} seconds, not {lock_ttl}")
    name, lives, named = _name(space, key), _lives(ttl, stale_ttl), _tags(space, tags)
    copies = yield from near()
    if copies is not None:
        if (copy := near_copy(space, copies, key)) is not None:
            return copy.get()
    elif not named and not space.early:
        raw = yield from command("GET", space.keys.value(name))
        if raw is not None and (data := _plainly_fresh(raw)) is not None:
            space.tally.hit(len(raw))
            return space.values.read(data)
    if any(one.cache == id(space) and one.name == name and not one.is_over for one in _computations.get()):
        raise InvalidValueError(f"key {key!r} is asked for by its own computation, and would wait for itself")
    wanted = Wanted(name, call_id(), round(lock_ttl * 1000), _drawn(space), named)
    return (yield from _get_or_compute(space, wanted, fn, lives, on_error, copies))


def _get_or_compute(
    space: CacheSpace,
    wanted: Wanted,
    fn: Callable[[], Any],
    lives: tuple[int, int],
    on_error: str,
    copies: NearCopies | None,
) -> Steps[Any]:
    depends = [space.keys.value(wanted.name), *map(space.keys.tag, wanted.tags)]
    with nullcontext() if copies is None else copies.reading(depends) as reading:
        found = yield from ask(look(space, wanted))
        if found.word == b"FRESH":
            return _hit(space, wanted.name, found, reading)
    if found.word == b"WAIT":
        space.tally.add("misses")
        space.tally.add("waits")
        found = yield from _wait(space, wanted)
        if found.word == b"FRESH":
            space.tally.add("bytes_read", len(found.raw))
            return space.values.read(line_of(found.raw)[1])
    elif found.word == b"COMPUTE":
        space.tally.add("misses")
    if found.word == b"STALE":
        return _stale(space, found)
    if found.word == b"FAILED":
        raise ComputeFailedError(
            f"{wanted.name!r} could not be computed by the process that did: {found.error}", found.error
        )
    return (yield from _compute(space, wanted, fn, lives, found if on_error == "stale" else None))


def _plainly_fresh(raw: bytes) -> memoryview | None:
    """Return the value of an entry that is fresh for as long as it is there, and has no tags."""
    words, data = line_of(raw)
    return data if len(words) == 1 or (len(words) == 4 and words[1] == b"-") else None


def _wait(space: CacheSpace, wanted: Wanted) -> Steps[_Found]:
    """Wait until there is an entry, or its computation has failed, or is this caller's to do."""
    what = f"value:{wanted.name}"
    give_up = yield from listen(partial(_way_out, space, wanted))
    try:
        while True:
            watched = Watched(space.keys.values_slot, what, partial(_look_for_listener, space, wanted))
            found = yield from wait_for(watched, None)
            if found is not None:
                return found
    except BaseException:
        give_up()  # a look that is under way may have made it this caller's to compute
        raise


async def _way_out(space: CacheSpace, wanted: Wanted, listener: "Listener") -> Callable[[], None]:
    loop = asyncio.get_running_loop()

    def give_up() -> None:
        with suppress(RuntimeError):  # the loop was closed, and with it the listener
            loop.call_soon_threadsafe(listener.run_at_last, _fail(space, wanted, ""))

    return give_up


def _look_for_listener(space: CacheSpace, wanted: Wanted, listener: str) -> Operation[Look[_Found]]:
    work = look(space, wanted, listener)

    def read(reply: Sequence[Any]) -> Look[_Found]:
        found = work.decode(reply)
        return Look(None, True, found.left) if found.word == b"WAIT" else Look(found, True, None)

    return Operation(work.script, work.keys, work.args, read)


def look(space: Namespace, wanted: Wanted, listener: str = "") -> Operation[_Found]:
    """Find an entry, or become the one that computes it, or have a listener told."""

    def read(reply: Sequence[Any]) -> _Found:
        match reply[0]:
            case b"FRESH":
                return _Found(reply[0], reply[1], seconds(reply[2]), int(reply[3]) / 1e6)
            case b"WAIT":
                wanted.awaited = reply[2].decode()
                return _Found(reply[0], left=seconds(reply[1]))
            case b"FAILED":
                return _Found(reply[0], error=reply[1].decode(errors="replace"))
        return _Found(reply[0], reply[1] if len(reply) > 1 else b"")

    arguments: tuple[Argument, ...] = (
        wanted.name,
        wanted.token,
        wanted.lock_ms,
        f"{wanted.early:.6f}",
        listener,
        wanted.awaited,
    )
    return Operation(_LOOK, space.keys.values, (*arguments, *wanted.tags), read)


def _hit(space: CacheSpace, name: str, found: _Found, reading: Reading | None) -> Any:
    space.tally.hit(len(found.raw))
    words, data = line_of(found.raw)
    value = space.values.read(data)
    if reading is not None:
        stored = {tag.decode() for tag in words[4:]}
        if {space.keys.tag(tag).encode() for tag in stored} <= set(reading.keys):
            again = partial(space.values.read, data)
            size, version = len(found.raw), int(words[0])
            reading.keep(
                ("cache", name), value, again, size, version=version, lasts=found.left, cost=found.cost
            )
    return value


def _stale(space: CacheSpace, found: _Found) -> Any:
    space.tally.add("stale_serves")
    space.tally.add("bytes_read", len(found.raw))
    return space.values.read(line_of(found.raw)[1])


def _compute(
    space: CacheSpace,
    wanted: Wanted,
    fn: Callable[[], Any],
    lives: tuple[int, int],
    stale: _Found | None,
) -> Steps[Any]:
    """Compute a value under its lock, and store it."""
    space.tally.add("computes")
    outer, own = _computations.get(), _Computation(id(space), wanted.name)
    lock = yield from listen(partial(_keep_lock, space, wanted))
    is_over = False
    try:
        _computations.set((*outer, own))
        try:
            computed = yield from compute(fn)
        finally:
            own.is_over = True
            _computations.set(outer)
        error = computed.error
        data = b""
        if error is None:
            try:
                data = space.values.write(computed.value)
            except ConvergeError as unfit:
                error = unfit
        if error is not None:
            space.tally.add("failures")
            reason = f"{type(error).__name__}: {error}"[:LONGEST_ERROR]
            yield from ask(_fail(space, wanted, reason))
            is_over = True
            if stale is not None and stale.raw:
                return _stale(space, stale)
            raise error
        arguments: tuple[Argument, ...] = (wanted.name, wanted.token, data, *lives, *wanted.tags)
        finish = Operation(_FINISH, space.keys.values, arguments, lambda _reply: None)
        yield from then_forget(finish, space.keys.value(wanted.name))
        is_over = True
        space.tally.add("bytes_written", len(data))
        return computed.value
    finally:
        if is_over:
            lock.stop()
        else:
            lock.abandon()  # interrupted, cancelled, or the server is away: another one is to compute


async def _keep_lock(space: CacheSpace, wanted: Wanted, listener: "Listener") -> "KeptLock":
    renewal: tuple[Argument, ...] = (wanted.name, wanted.token, wanted.lock_ms, *wanted.tags)
    return listener.keep_lock(
        wanted.lock_ms / 1000,
        lambda: Operation(_RENEW, space.keys.values, renewal, lambda reply: bool(reply[0] == b"HELD")),
        lambda: _fail(space, wanted, ""),
    )


def _fail(space: CacheSpace, wanted: Wanted, reason: str) -> Operation[None]:
    text = reason.encode(errors="replace")
    return Operation(_FAIL, space.keys.values, (wanted.name, wanted.token, text), lambda _reply: None)


def near_copy(space: CacheSpace, copies: NearCopies, key: str) -> Copy | None:
    """Return a near copy of an entry, unless this caller is drawn to compute it early."""
    copy = copies.find(("cache", space.prefix + key))
    if copy is None or (space.early and copy.is_due(_drawn(space))):
        return None
    space.tally.add("near_hits")
    return copy


def _drawn(space: CacheSpace) -> float:
    """Draw how many times its cost an entry is replaced before it ends.

    ``-early * ln(random())``: A. Vattani, F. Chierichetti, K. Lowenstein, "Optimal Probabilistic Cache
    Stampede Prevention", PVLDB 8(8), 2015, algorithm XFetch.
    """
    return -space.early * math.log(1.0 - random.random()) if space.early else 0.0  # noqa: S311


def get(space: CacheSpace, key: str, default: Any = None) -> Steps[Any]:
    """Return the value under a key while it is fresh.

    Args:
        key: The key.
        default: What to return when there is none.
    """
    name = _name(space, key)
    copies = yield from near()
    if copies is None:
        raw = yield from command("GET", space.keys.value(name))
        if raw is not None and (data := _plainly_fresh(raw)) is not None:
            space.tally.hit(len(raw))
            return space.values.read(data)
        if raw is None:
            space.tally.add("misses")
            return default
    elif (copy := near_copy(space, copies, key)) is not None:
        return copy.get()
    with nullcontext() if copies is None else copies.reading([space.keys.value(name)]) as reading:
        found = yield from ask(look(space, Wanted(name, "")))
        if found.word == b"FRESH":
            return _hit(space, name, found, reading)
    space.tally.add("misses")
    return default


def put(
    space: CacheSpace,
    key: str,
    value: Any,
    ttl: float,
    *,
    stale_ttl: float = 0.0,
    tags: Iterable[str] = (),
) -> Steps[None]:
    """Store a value; a computation of it that is under way will not replace it.

    Args:
        key: The key.
        value: What the store takes.
        ttl: Seconds for which it is fresh.
        stale_ttl: Seconds after that for which it is served while one caller computes it anew.
        tags: Groups that it belongs to, at most 100.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: An argument cannot be stored.
    """
    name = _name(space, key)
    data = space.values.write(value)
    arguments: tuple[Argument, ...] = (name, data, *_lives(ttl, stale_ttl), *_tags(space, tags))
    work = Operation(_PUT, space.keys.values, arguments, lambda _reply: None)
    yield from then_forget(work, space.keys.value(name))
    space.tally.add("bytes_written", len(data))


def delete(space: CacheSpace, key: str) -> Steps[None]:
    """Delete the value under a key; a computation of it that is under way will not be stored.

    Args:
        key: The key.
    """
    return values.delete(space, _name(space, key))


def delete_tags(space: CacheSpace, *tags: str) -> Steps[None]:
    """Delete all values that have one of some tags, at once; nor are they stored that are being computed.

    Args:
        tags: The tags.
    """
    named = _tags(space, tags)
    if named:
        work = Operation(_DELETE_TAGS, space.keys.values, tuple(named), lambda _reply: None)
        yield from then_forget(work, *map(space.keys.tag, named))


def clear(space: CacheSpace) -> Steps[int]:
    """Delete all values of the cache, in steps of up to 500; returns how many there were."""
    return values.clear(space, space.prefix)


def count(space: CacheSpace) -> Steps[int]:
    """Count the values of the cache, stale ones and those whose tags were deleted included."""
    return values.count(space, space.prefix)


def _name(space: CacheSpace, key: str) -> str:
    name = space.prefix + check_id("key", key)
    return check_id("key with the cache's prefix", name)


def _lives(ttl: float, stale_ttl: float) -> tuple[int, int]:
    """Return for how many milliseconds a value is fresh, and for how many it is kept."""
    fresh = max(1, round(check_seconds("ttl", ttl) * 1000))
    return fresh, fresh + round(check_seconds("stale_ttl", stale_ttl, zero=True) * 1000)


def _tags(space: CacheSpace, tags: Iterable[str]) -> list[str]:
    if tags == ():
        return []
    given = dict.fromkeys(check_ids("tags", tags))
    if len(given) > MOST_TAGS:
        raise InvalidValueError(f"tags can be {MOST_TAGS} at most, not {len(given)}")
    return [encoded(space.prefix + tag) for tag in given]
