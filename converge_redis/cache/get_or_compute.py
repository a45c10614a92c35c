"""get_or_compute: one computation for all processes that ask for a value."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from converge_redis.cache.entries import (
    CacheContext,
    CacheRequest,
    Found,
    decode_hit,
    find_or_lock,
    milliseconds,
    plainly_fresh,
)
from converge_redis.core.ids import call_id
from converge_redis.core.operation import Argument, Operation, Procedure, command, compute, send
from converge_redis.core.scripts import Script
from converge_redis.core.validation import short_repr, validate_choice, validate_seconds
from converge_redis.core.value_format import split_header
from converge_redis.errors import ComputeFailedError, ConvergeError, InvalidTypeError, InvalidValueError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.notifications.renewed_lock import RenewedLock, RenewedLocks
from converge_redis.notifications.steps import invalidating, on_listener
from converge_redis.notifications.waiters import Observation
from converge_redis.notifications.watchers import WatchedKey, wait_for

_RENEW = Script("cache/renew")
_FINISH = Script("cache/finish")
_FAIL = Script("cache/fail")

T = TypeVar("T")

DEFAULT_LOCK_TTL = 10.0
MIN_LOCK_TTL = 0.1
MAX_ERROR_LENGTH = 2000


@dataclass(slots=True, eq=False)
class _Computation:
    """A computation in progress, in a context variable: code that it calls sees it, and sees when it ends."""

    cache: CacheContext
    name: str
    is_over: bool = False


_computations: ContextVar[tuple[_Computation, ...]] = ContextVar("computations", default=())


def get_or_compute(
    cache: CacheContext,
    key: str,
    fn: Callable[[], T],
    ttl: float,
    *,
    stale_ttl: float = 0.0,
    tags: Iterable[str] = (),
    lock_ttl: float = DEFAULT_LOCK_TTL,
    on_error: str = "raise",
) -> Procedure[T]:
    """Return the value under a key; where there is none, compute it, once for all processes that ask.

    The others wait until the server reports that it is there. When the process that computes dies, one other
    takes over within ``lock_ttl``; a computation that takes longer than that keeps its lock.

    Args:
        key: The key.
        fn: Computes the value; called without arguments, and awaited on asyncio if it returns an awaitable.
        ttl: Seconds for which the value is fresh.
        stale_ttl: Seconds after that for which it is still served while one caller computes it anew: that
            caller waits for the new value, all others get the stale one at once.
        tags: Groups to which the value belongs, for `delete_tags`; at most 100.
        lock_ttl: Seconds after which another caller computes when this process has died, at least 0.1.
        on_error: What the caller that computes gets when ``fn`` raises: ``"raise"``: the error; ``"stale"``:
            the stale value if there is one, else the error.

    Returns:
        The value, as `fn` returned it or as it was stored.

    Raises:
        ComputeFailedError: The computation for which this call waited has failed, in another process.
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: An argument is malformed, ``fn`` asks for
            this key itself, or the computed value cannot be stored.
    """
    computation = _validate(cache, key, fn, ttl, stale_ttl, tags, lock_ttl, on_error)
    return _get_or_compute(cache, computation, None)


def get_or_compute_near(
    cache: CacheContext,
    entries: NearEntries,
    key: str,
    fn: Callable[[], T],
    ttl: float,
    *,
    stale_ttl: float = 0.0,
    tags: Iterable[str] = (),
    lock_ttl: float = DEFAULT_LOCK_TTL,
    on_error: str = "raise",
) -> Procedure[T]:
    """Do as `get_or_compute` does, and store the value in the near cache."""
    computation = _validate(cache, key, fn, ttl, stale_ttl, tags, lock_ttl, on_error)
    return _get_or_compute(cache, computation, entries)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """The validated arguments of a call.

    Attributes:
        name: The key in the store.
        fn: Computes the value.
        ttls: Milliseconds for which the value is fresh, and for which it is stored.
        tags: The encoded tags.
        lock_ms: How long the lock lasts.
        serves_stale: Whether the stale value is returned where `fn` raises.
    """

    name: str
    fn: Callable[[], Any]
    ttls: tuple[int, int]
    tags: list[str]
    lock_ms: int
    serves_stale: bool


def _validate(
    cache: CacheContext,
    key: str,
    fn: Callable[[], Any],
    ttl: float,
    stale_ttl: float,
    tags: Iterable[str],
    lock_ttl: float,
    on_error: str,
) -> _Wanted:
    if not callable(fn):
        raise InvalidTypeError(f"fn must be a function, not {short_repr(fn)}")
    if on_error != "raise":
        validate_choice("on_error", on_error, ("raise", "stale"))
    if lock_ttl != DEFAULT_LOCK_TTL and validate_seconds("lock_ttl", lock_ttl) < MIN_LOCK_TTL:
        raise InvalidValueError(f"lock_ttl must be at least {MIN_LOCK_TTL} seconds, not {lock_ttl}")
    return _Wanted(
        cache.name(key),
        fn,
        milliseconds(ttl, stale_ttl),
        cache.encode_tags(tags),
        round(lock_ttl * 1000),
        on_error == "stale",
    )


def _get_or_compute(cache: CacheContext, wanted: _Wanted, entries: NearEntries | None) -> Procedure[Any]:
    keys = cache.namespace.keys
    if entries is None and not wanted.tags and not cache.early:
        raw = yield from send(command("GET", keys.value(wanted.name)))
        if raw is not None and (data := plainly_fresh(raw)) is not None:
            cache.counters.hit(len(raw))
            return cache.namespace.values.decode(data)
    computations = _computations.get()
    if any(one.cache is cache and one.name == wanted.name and not one.is_over for one in computations):
        raise InvalidValueError(
            f"key {wanted.name.removeprefix(cache.prefix)!r} is asked for by its own computation, and would "
            f"wait "
            "for itself"
        )
    request = CacheRequest(wanted.name, call_id(), wanted.lock_ms, cache.early_factor(), wanted.tags)
    depends_on = [keys.value(request.name), *map(keys.tag, request.tags)]
    with nullcontext() if entries is None else entries.reading(depends_on) as read:
        found = yield from send(find_or_lock(cache, request))
        if found.word == b"FRESH":
            return decode_hit(cache, request.name, found, read)
    if found.word == b"WAIT":
        cache.counters.add("misses")
        cache.counters.add("waits")
        found = yield from _wait(cache, request)
        if found.word == b"FRESH":
            cache.counters.add("bytes_read", len(found.raw))
            return cache.namespace.values.decode(split_header(found.raw)[1])
    elif found.word == b"COMPUTE":
        cache.counters.add("misses")
    if found.word == b"STALE":
        return _serve_stale(cache, found)
    if found.word == b"FAILED":
        raise ComputeFailedError(
            f"{request.name!r} could not be computed by the process that did: {found.error}", found.error
        )
    return (yield from _compute(cache, request, wanted, found if wanted.serves_stale else None))


def _wait(cache: CacheContext, request: CacheRequest) -> Procedure[Found]:
    """Wait until there is an entry, or its computation has failed, or this call has the lock."""
    key = f"value:{request.name}"
    abandon = yield from on_listener(partial(_abandon_later, cache, request))
    try:
        while True:
            read_and_watch = partial(_find_and_watch, cache, request)
            watched = WatchedKey(cache.namespace.keys.values_slot, key, read_and_watch)
            found = yield from wait_for(watched, None)
            if found is not None:
                return found
    except BaseException:
        abandon()  # a script in flight may have given the lock to this call
        raise


async def _abandon_later(
    cache: CacheContext, request: CacheRequest, listener: Listener
) -> Callable[[], None]:
    """Return a function that releases the lock in the listener's event loop, should this call get it."""
    loop = asyncio.get_running_loop()

    def abandon() -> None:
        with suppress(RuntimeError):  # the event loop was closed, and with it the listener
            loop.call_soon_threadsafe(listener.run_detached, _fail(cache, request, ""))

    return abandon


def _find_and_watch(
    cache: CacheContext, request: CacheRequest, listener: str
) -> Operation[Observation[Found]]:
    operation = find_or_lock(cache, request, listener)

    def decode(reply: Sequence[Any]) -> Observation[Found]:
        found = operation.decode(reply)
        if found.word == b"WAIT":
            return Observation(None, True, found.left)
        return Observation(found, True, None)

    return Operation(operation.script, operation.keys, operation.args, decode)


def _serve_stale(cache: CacheContext, found: Found) -> Any:
    cache.counters.add("stale_serves")
    cache.counters.add("bytes_read", len(found.raw))
    return cache.namespace.values.decode(split_header(found.raw)[1])


def _compute(
    cache: CacheContext,
    request: CacheRequest,
    wanted: _Wanted,
    stale: Found | None,
) -> Procedure[Any]:
    """Compute a value under its lock, and store it."""
    cache.counters.add("computes")
    outer, own = _computations.get(), _Computation(cache, request.name)
    lock = yield from on_listener(partial(_renew_lock, cache, request))
    is_over = False
    try:
        _computations.set((*outer, own))
        try:
            computed = yield from compute(wanted.fn)
        finally:
            own.is_over = True
            _computations.set(outer)
        error = computed.error
        data = b""
        if error is None:
            try:
                data = cache.namespace.values.encode(computed.value)
            except ConvergeError as unstorable:
                error = unstorable
        if error is not None:
            cache.counters.add("failures")
            reason = f"{type(error).__name__}: {error}"[:MAX_ERROR_LENGTH]
            yield from send(_fail(cache, request, reason))
            is_over = True
            if stale is not None and stale.raw:
                return _serve_stale(cache, stale)
            raise error
        arguments: tuple[Argument, ...] = (request.name, request.token, data, *wanted.ttls, *request.tags)
        finish = Operation(_FINISH, cache.namespace.keys.values, arguments, lambda _reply: None)
        yield from invalidating(finish, cache.namespace.keys.value(request.name))
        is_over = True
        cache.counters.add("bytes_written", len(data))
        return computed.value
    finally:
        if is_over:
            lock.stop()
        else:
            lock.release()  # interrupted, cancelled, or without a server: another caller must compute


async def _renew_lock(cache: CacheContext, request: CacheRequest, listener: Listener) -> RenewedLock:
    keys = cache.namespace.keys.values
    renewal: tuple[Argument, ...] = (request.name, request.token, request.lock_ms, *request.tags)
    return listener.part(RenewedLocks).add(
        request.lock_ms / 1000,
        lambda: Operation(_RENEW, keys, renewal, lambda reply: bool(reply[0] == b"HELD")),
        lambda: _fail(cache, request, ""),
    )


def _fail(cache: CacheContext, request: CacheRequest, reason: str) -> Operation[None]:
    arguments = (request.name, request.token, reason.encode(errors="replace"))
    return Operation(_FAIL, cache.namespace.keys.values, arguments, lambda _reply: None)
