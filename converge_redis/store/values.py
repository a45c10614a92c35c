"""Values by key: put, get, delete and their counterparts for many keys, list, count, clear."""

import builtins
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import Any

from converge_redis.core.batching import batches
from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Command, Operation, Procedure, send
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_id, validate_ids, validate_integer, validate_seconds
from converge_redis.core.value_format import split_header
from converge_redis.errors import InvalidTypeError
from converge_redis.notifications.near_entries import NearEntries, PendingRead
from converge_redis.notifications.steps import invalidating, near_entries

_PUT = Script("store/put")
_COMPARE_AND_SET = Script("store/compare_and_set")
_READ = Script("store/read")
_DELETE = Script("store/delete")
_LIST_KEYS = Script("store/list_keys")
_COUNT = Script("store/count")
_CLEAR = Script("store/clear")

KEYS_PER_SCRIPT = 500


@dataclass(frozen=True, slots=True)
class VersionedValue:
    """A value as it was when it was read.

    Attributes:
        value: The value.
        version: Grows with each change of any value of the namespace; `compare_and_set` takes it.
    """

    value: Any
    version: int


def put(namespace: Namespace, key: str, value: Any, *, ttl: float | None = None) -> Procedure[None]:
    """Store a value under a key, in place of the one that is there.

    When the reply is lost with its connection the call is sent again, and may then replace a value that
    another caller stored in between; `compare_and_set` does not.

    Args:
        key: The key: any text of up to 512 bytes.
        value: None, bool, int, float, str, bytes, list, dict, tuple, set or datetime, nested as needed, and
            instances of the store's ``types``.
        ttl: Seconds after which it expires; None: it does not.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    validate_id("key", key)
    written = [(key, namespace.values.encode(value))]
    return invalidating(_put(namespace, written, _milliseconds(ttl)), namespace.keys.value(key))


def put_many(namespace: Namespace, values: Mapping[str, Any], *, ttl: float | None = None) -> Procedure[None]:
    """Store values under their keys; up to 500 keys and a MiB are one script, and are stored at once.

    Args:
        values: The values by key; see `put`.
        ttl: Seconds after which they expire; None: they do not.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: A key or a value cannot be stored; none is.
    """
    if not isinstance(values, Mapping):
        raise InvalidTypeError(f"values must be a mapping of keys to values, not {type(values).__name__}")
    life = _milliseconds(ttl)
    written = [(validate_id("key", key), namespace.values.encode(value)) for key, value in values.items()]
    for batch in batches(written, KEYS_PER_SCRIPT, lambda item: len(item[1])):
        keys = [namespace.keys.value(key) for key, _ in batch]
        yield from invalidating(_put(namespace, batch, life), *keys)


def _put(namespace: Namespace, written: Sequence[tuple[str, bytes]], life: Argument) -> Operation[None]:
    flat = [part for item in written for part in item]
    return Operation(_PUT, namespace.keys.values, (life, *flat), lambda _reply: None)


def compare_and_set(
    namespace: Namespace, key: str, value: Any, version: int, *, ttl: float | None = None
) -> Procedure[int | None]:
    """Store a value if the one that is there has not changed since it was read.

    Args:
        key: The key.
        value: See `put`.
        version: The version that `get_versioned` returned; 0: there must be no value.
        ttl: Seconds after which it expires; None: it does not.

    Returns:
        The new version; None when the value has another version, or there is none.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    return invalidating(_compare_and_set(namespace, key, value, version, ttl), namespace.keys.value(key))


def _compare_and_set(
    namespace: Namespace, key: str, value: Any, version: int, ttl: float | None
) -> Operation[int | None]:
    validate_id("key", key)
    validate_integer("version", version, 0, 2**63 - 1)
    arguments = (key, namespace.values.encode(value), str(version), _milliseconds(ttl), call_id())
    return Operation(
        _COMPARE_AND_SET,
        namespace.keys.values,
        arguments,
        lambda reply: int(reply[1]) if reply[0] == b"STORED" else None,
    )


def put_if_absent(namespace: Namespace, key: str, value: Any, *, ttl: float | None = None) -> Procedure[bool]:
    """Store a value under a key that has none: of all processes that try, one succeeds.

    Args:
        key: The key: any text of up to 512 bytes.
        value: See `put`.
        ttl: Seconds after which it expires; None: it does not.

    Returns:
        True when this call stored it; False when there was a value.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    return (yield from compare_and_set(namespace, key, value, 0, ttl=ttl)) is not None


def get(namespace: Namespace, key: str) -> Command[Any]:
    """Return the value under a key; None when there is none.

    Args:
        key: The key.

    Raises:
        StoreReplyError: The stored value cannot be read.
    """
    validate_id("key", key)

    def decode(raw: bytes | None) -> Any:
        return None if raw is None else namespace.values.decode(split_header(raw)[1])

    return Command(("GET", namespace.keys.value(key)), decode)


def get_near(namespace: Namespace, entries: NearEntries, key: str) -> Procedure[Any]:
    """Read as `get` does, and store the value in the near cache."""
    validate_id("key", key)
    found = yield from _read(namespace, entries, [key])
    return found.get(key)


def get_versioned(namespace: Namespace, key: str) -> Command[VersionedValue | None]:
    """Return the value under a key with its version, for `compare_and_set`; None when there is none.

    Args:
        key: The key.

    Raises:
        StoreReplyError: The stored value cannot be read.
    """
    validate_id("key", key)

    def decode(raw: bytes | None) -> VersionedValue | None:
        if raw is None:
            return None
        header, data = split_header(raw)
        return VersionedValue(namespace.values.decode(data), int(header[0]))

    return Command(("GET", namespace.keys.value(key)), decode)


def get_many(namespace: Namespace, keys: Iterable[str]) -> Procedure[dict[str, Any]]:
    """Return the values under keys; up to 500 keys are one script, and are read at one moment.

    Args:
        keys: The keys.

    Returns:
        The values by key, without the keys that have none.

    Raises:
        StoreReplyError: A stored value cannot be read.
    """
    found: dict[str, Any] = {}
    unknown: list[str] = []
    entries = yield from near_entries()
    for key in dict.fromkeys(validate_ids("keys", keys)):
        if entries is not None and (entry := entries.find(("get", key))) is not None:
            found[key] = entry.get()
        else:
            unknown.append(key)
    for batch in batches(unknown, KEYS_PER_SCRIPT):
        found |= yield from _read(namespace, entries, batch)
    return found


def _read(
    namespace: Namespace, entries: NearEntries | None, keys: Sequence[str]
) -> Procedure[dict[str, Any]]:
    """Read values, and store them in the near cache."""
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        reads: list[PendingRead] = []
        if entries is not None:
            reads = [stack.enter_context(entries.reading([namespace.keys.value(key)])) for key in keys]
        rows = yield from send(Operation(_READ, namespace.keys.values, tuple(keys), lambda reply: reply[1:]))
        for key, raw, left, read in zip_longest(keys, rows[::2], rows[1::2], reads):
            if raw is None:
                continue
            header, data = split_header(raw)
            value = found[key] = namespace.values.decode(data)
            if read is not None:
                factory = partial(namespace.values.decode, data)
                valid_for = None if left < 0 else left / 1000
                version = int(header[0])
                read.store(("get", key), value, factory, len(raw), version=version, valid_for=valid_for)
    return found


def delete(namespace: Namespace, key: str) -> Procedure[None]:
    """Remove a key and its value; no effect when there is none.

    Args:
        key: The key.
    """
    validate_id("key", key)
    yield from invalidating(_delete(namespace, [key]), namespace.keys.value(key))


def delete_many(namespace: Namespace, keys: Iterable[str]) -> Procedure[int]:
    """Remove keys and their values; up to 500 keys are one script, and are removed at once.

    Args:
        keys: The keys.

    Returns:
        The number of keys that existed; fewer where a reply was lost and the call had to be sent again.
    """
    deleted = 0
    for batch in batches(dict.fromkeys(validate_ids("keys", keys)), KEYS_PER_SCRIPT):
        deleted += yield from invalidating(_delete(namespace, batch), *map(namespace.keys.value, batch))
    return deleted


def _delete(namespace: Namespace, keys: Sequence[str]) -> Operation[int]:
    return Operation(_DELETE, namespace.keys.values, tuple(keys), lambda reply: int(reply[1]))


def list_keys(namespace: Namespace, prefix: str = "") -> Procedure[builtins.list[str]]:
    """Return the keys that begin with a prefix, in the order of their bytes, without expired ones.

    Args:
        prefix: The prefix; empty: all keys.
    """
    first, end = _range(prefix)
    keys: list[str] = []
    while True:
        page = yield from _send_until_swept(namespace, _LIST_KEYS, (first, end, KEYS_PER_SCRIPT))
        keys += [key.decode() for key in page]
        if len(page) < KEYS_PER_SCRIPT:
            return keys
        first = b"(" + page[-1]


def count(namespace: Namespace, prefix: str = "") -> Procedure[int]:
    """Count the keys that begin with a prefix, without expired ones.

    Args:
        prefix: The prefix; empty: all keys.
    """
    first, end = _range(prefix)
    (counted,) = yield from _send_until_swept(namespace, _COUNT, (first, end, KEYS_PER_SCRIPT))
    return int(counted)


def clear(namespace: Namespace, prefix: str = "") -> Procedure[int]:
    """Delete all values whose keys begin with a prefix, in steps of up to 500.

    A value that is stored under such a key meanwhile may or may not be deleted.

    Args:
        prefix: The prefix; empty: all keys.

    Returns:
        The number of deleted values; fewer where a reply was lost and a step had to be sent again.
    """
    first, end = _range(prefix)
    deleted = 0
    while True:
        step = Operation(
            _CLEAR, namespace.keys.values, (first, end, KEYS_PER_SCRIPT), lambda reply: reply[1:]
        )
        some, last = yield from send(step)
        deleted += int(some)
        if not last:
            break
        first = b"(" + last
    entries = yield from near_entries()
    if entries is not None:
        entries.drop_all()
    return deleted


def _send_until_swept(
    namespace: Namespace, script: Script, arguments: tuple[Argument, ...]
) -> Procedure[Sequence[Any]]:
    """Send a script until it has deleted all expired values; return its reply."""
    while True:
        reply = yield from send(Operation(script, namespace.keys.values, arguments, lambda reply: reply))
        if reply[0] != b"AGAIN":
            rest: Sequence[Any] = reply[1:]
            return rest


def _range(prefix: str) -> tuple[bytes, bytes]:
    """Return the range of the keys with a prefix, as ZRANGEBYLEX takes it."""
    if prefix != "":
        validate_id("prefix", prefix)
    text = prefix.encode()
    return b"[" + text, b"(" + text + b"\xff" if text else b"+"


def _milliseconds(ttl: float | None) -> Argument:
    return "" if ttl is None else max(1, round(validate_seconds("ttl", ttl) * 1000))
