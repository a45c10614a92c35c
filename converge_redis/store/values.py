"""Verbs of the key-value store: put, get, delete and their like for many, list, count, clear."""

import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice, zip_longest
from typing import Any, TypeVar

from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask, command, near, then_forget
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_id, check_ids, check_integer, check_seconds
from converge_redis.core.value_format import line_of
from converge_redis.errors import InvalidTypeError
from converge_redis.notifications.near_entries import NearCopies, Reading

_PUT = Script("store/put")
_COMPARE_AND_SET = Script("store/compare_and_set")
_READ = Script("store/read")
_DELETE = Script("store/delete")
_LIST_KEYS = Script("store/list_keys")
_COUNT = Script("store/count")
_CLEAR = Script("store/clear")

KEYS_PER_SCRIPT = 500
BYTES_PER_SCRIPT = 1024 * 1024

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class VersionedValue:
    """A value as it was when it was read.

    Attributes:
        value: The value.
        version: Grows with each change of any value of the namespace; `compare_and_set` takes it.
    """

    value: Any
    version: int


def put(space: Namespace, key: str, value: Any, *, ttl: float | None = None) -> Steps[None]:
    """Store a value under a key, in place of what was there.

    When the reply is lost with its connection the call is sent again, and may then replace what somebody
    else has stored in between; `compare_and_set` does not.

    Args:
        key: The key: any text of up to 512 bytes.
        value: None, bool, int, float, str, bytes, list, dict, tuple, set or datetime, nested as needed, and
            instances of the store's ``types``.
        ttl: Seconds after which it expires; None: it does not.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    check_id("key", key)
    written = [(key, space.values.write(value))]
    return then_forget(_put(space, written, _milliseconds(ttl)), space.keys.value(key))


def put_many(space: Namespace, values: Mapping[str, Any], *, ttl: float | None = None) -> Steps[None]:
    """Store values under their keys; those of one script, up to 500 and a MiB, at once.

    Args:
        values: The values by key; see `put`.
        ttl: Seconds after which they expire; None: they do not.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: A key or a value cannot be stored; none is.
    """
    if not isinstance(values, Mapping):
        raise InvalidTypeError(f"values must be a mapping of keys to values, not {type(values).__name__}")
    life = _milliseconds(ttl)
    written = [(check_id("key", key), space.values.write(value)) for key, value in values.items()]
    for part in _parts(written, lambda item: len(item[1])):
        yield from then_forget(_put(space, part, life), *(space.keys.value(key) for key, _ in part))


def _put(space: Namespace, written: Sequence[tuple[str, bytes]], life: Argument) -> Operation[None]:
    flat = [part for item in written for part in item]
    return Operation(_PUT, space.keys.values, (life, *flat), lambda _reply: None)


def compare_and_set(
    space: Namespace, key: str, value: Any, version: int, *, ttl: float | None = None
) -> Steps[int | None]:
    """Store a value if what is there has not changed since it was read.

    Args:
        key: The key.
        value: See `put`.
        version: The version that `get_versioned` told; 0: there must be no value.
        ttl: Seconds after which it expires; None: it does not.

    Returns:
        The new version; None when another version is there, or none.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    return then_forget(_compare_and_set(space, key, value, version, ttl), space.keys.value(key))


def _compare_and_set(
    space: Namespace, key: str, value: Any, version: int, ttl: float | None
) -> Operation[int | None]:
    check_id("key", key)
    check_integer("version", version, 0, 2**63 - 1)
    arguments = (key, space.values.write(value), str(version), _milliseconds(ttl), call_id())
    return Operation(
        _COMPARE_AND_SET,
        space.keys.values,
        arguments,
        lambda reply: int(reply[1]) if reply[0] == b"STORED" else None,
    )


def put_if_absent(space: Namespace, key: str, value: Any, *, ttl: float | None = None) -> Steps[bool]:
    """Store a value under a key that has none: of all processes that try, one does.

    Args:
        key: The key: any text of up to 512 bytes.
        value: See `put`.
        ttl: Seconds after which it expires; None: it does not.

    Returns:
        True when this call stored it; False when there was a value.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    return (yield from compare_and_set(space, key, value, 0, ttl=ttl)) is not None


def get(space: Namespace, key: str) -> Steps[Any]:
    """Return the value under a key; None when there is none.

    Args:
        key: The key.

    Raises:
        StoreReplyError: What is stored cannot be read.
    """
    check_id("key", key)
    copies = yield from near()
    if copies is not None:
        found = yield from _read(space, copies, [key])
        return found.get(key)
    raw = yield from command("GET", space.keys.value(key))
    return None if raw is None else space.values.read(line_of(raw)[1])


def get_versioned(space: Namespace, key: str) -> Steps[VersionedValue | None]:
    """Return the value under a key with its version, for `compare_and_set`; None when there is none.

    Args:
        key: The key.

    Raises:
        StoreReplyError: What is stored cannot be read.
    """
    check_id("key", key)
    raw = yield from command("GET", space.keys.value(key))
    if raw is None:
        return None
    words, data = line_of(raw)
    return VersionedValue(space.values.read(data), int(words[0]))


def get_many(space: Namespace, keys: Iterable[str]) -> Steps[dict[str, Any]]:
    """Return the values under keys; those of one script, up to 500 keys, as they were at one time.

    Args:
        keys: The keys.

    Returns:
        The values by key, without the keys that have none.

    Raises:
        StoreReplyError: What is stored under a key cannot be read.
    """
    found: dict[str, Any] = {}
    asked: list[str] = []
    copies = yield from near()
    for key in dict.fromkeys(check_ids("keys", keys)):
        if copies is not None and (copy := copies.find(("get", key))) is not None:
            found[key] = copy.get()
        else:
            asked.append(key)
    for part in _parts(asked, lambda _key: 0):
        found |= yield from _read(space, copies, part)
    return found


def _read(space: Namespace, copies: NearCopies | None, keys: Sequence[str]) -> Steps[dict[str, Any]]:
    """Read values, and keep copies of them."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        readings: list[Reading] = []
        if copies is not None:
            readings = [stack.enter_context(copies.reading([space.keys.value(key)])) for key in keys]
        rows = yield from ask(Operation(_READ, space.keys.values, tuple(keys), lambda reply: reply[1:]))
        for key, raw, left, reading in zip_longest(keys, rows[::2], rows[1::2], readings):
            if raw is None:
                continue
            words, data = line_of(raw)
            value = found[key] = space.values.read(data)
            if reading is not None:
                again = partial(space.values.read, data)
                lasts = None if left < 0 else left / 1000
                reading.keep(("get", key), value, again, len(raw), version=int(words[0]), lasts=lasts)
    return found


def delete(space: Namespace, key: str) -> Steps[None]:
    """Remove a key and its value; no effect when there is none.

    Args:
        key: The key.
    """
    check_id("key", key)
    yield from then_forget(_delete(space, [key]), space.keys.value(key))


def delete_many(space: Namespace, keys: Iterable[str]) -> Steps[int]:
    """Remove keys and their values; those of one script, up to 500, at once.

    Args:
        keys: The keys.

    Returns:
        How many there were; fewer than that when a reply was lost and the call had to be sent again.
    """
    deleted = 0
    for part in _parts(dict.fromkeys(check_ids("keys", keys)), lambda _key: 0):
        deleted += yield from then_forget(_delete(space, part), *map(space.keys.value, part))
    return deleted


def _delete(space: Namespace, keys: Sequence[str]) -> Operation[int]:
    return Operation(_DELETE, space.keys.values, tuple(keys), lambda reply: int(reply[1]))


def list_keys(space: Namespace, prefix: str = "") -> Steps[builtins.list[str]]:
    """Return the keys that begin with a prefix, in the order of their bytes, without those that expired.

    Args:
        prefix: The prefix; empty: all keys.
    """
    first, end = _range(prefix)
    keys: list[str] = []
    while True:
        page = yield from _unless_again(space, _LIST_KEYS, (first, end, KEYS_PER_SCRIPT))
        keys += [key.decode() for key in page]
        if len(page) < KEYS_PER_SCRIPT:
            return keys
        first = b"(" + page[-1]


def count(space: Namespace, prefix: str = "") -> Steps[int]:
    """Count the keys that begin with a prefix, without those that expired.

    Args:
        prefix: The prefix; empty: all keys.
    """
    first, end = _range(prefix)
    (counted,) = yield from _unless_again(space, _COUNT, (first, end, KEYS_PER_SCRIPT))
    return int(counted)


def clear(space: Namespace, prefix: str = "") -> Steps[int]:
    """Delete all values whose keys begin with a prefix, in steps of up to 500.

    What is stored under such a key meanwhile may or may not be deleted.

    Args:
        prefix: The prefix; empty: all keys.

    Returns:
        How many were deleted; fewer than that when a reply was lost and a step had to be sent again.
    """
    first, end = _range(prefix)
    deleted = 0
    while True:
        step = Operation(_CLEAR, space.keys.values, (first, end, KEYS_PER_SCRIPT), lambda reply: reply[1:])
        some, last = yield from ask(step)
        deleted += int(some)
        if not last:
            break
        first = b"(" + last
    copies = yield from near()
    if copies is not None:
        copies.drop_all()
    return deleted


def _unless_again(space: Namespace, script: Script, arguments: tuple[Argument, ...]) -> Steps[Sequence[Any]]:
    """Send a script until it has cleared away what has expired; return its reply."""
    while True:
        reply = yield from ask(Operation(script, space.keys.values, arguments, lambda reply: reply))
        if reply[0] != b"AGAIN":
            rest: Sequence[Any] = reply[1:]
            return rest


def _range(prefix: str) -> tuple[bytes, bytes]:
    """Return the range of the keys with a prefix, as ZRANGEBYLEX takes it."""
    if prefix != "":
        check_id("prefix", prefix)
    text = prefix.encode()
    return b"[" + text, b"(" + text + b"\xff" if text else b"+"


def _milliseconds(ttl: float | None) -> Argument:
    return "" if ttl is None else max(1, round(check_seconds("ttl", ttl) * 1000))


def _parts(items: Iterable[T], size: Callable[[T], int]) -> Iterator[list[T]]:
    """Cut items into parts that one script takes."""
    rest = iter(items)
    while part := list(islice(rest, 1)):
        taken = size(part[0])
        for item in islice(rest, KEYS_PER_SCRIPT - 1):
            if taken + size(item) > BYTES_PER_SCRIPT:
                yield part
                part, taken = [], 0
            part.append(item)
            taken += size(item)
        yield part
