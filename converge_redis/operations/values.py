"""Verbs of the key-value store: put, get, delete, list, put_if_absent."""

from collections.abc import Sequence
from typing import Any

from converge_redis.checks import check_id
from converge_redis.codec import decode, encode
from converge_redis.identifiers import call_id
from converge_redis.namespace import Namespace
from converge_redis.operation import Operation, Steps, ask
from converge_redis.scripts import Script

_PUT = Script("value/put")
_PUT_IF_ABSENT = Script("value/put_if_absent")
_GET = Script("value/get")
_DELETE = Script("value/delete")
_LIST_KEYS = Script("value/list_keys")

KEYS_PER_SCRIPT = 1000


def put(space: Namespace, key: str, value: Any) -> Operation[None]:
    """Store a value under a key, in place of what was there.

    Args:
        key: The key: any text of up to 512 bytes.
        value: None, bool, int, float, str, bytes, list, dict, tuple, set or datetime, nested as needed.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    check_id("key", key)
    data = encode("value", value, space.payload_limit)
    stored, index, _ = _keys(space, key)
    return Operation(_PUT, (stored, index), (key, data), lambda _reply: None)


def get(space: Namespace, key: str) -> Operation[Any]:
    """Return the value under a key; None when there is none.

    Args:
        key: The key.
    """
    check_id("key", key)

    def read(reply: Sequence[Any]) -> Any:
        return decode(reply[1]) if reply[0] == b"FOUND" else None

    return Operation(_GET, (_keys(space, key)[0],), (), read)


def delete(space: Namespace, key: str) -> Operation[None]:
    """Remove a key and its value; no effect when there is none.

    Args:
        key: The key.
    """
    check_id("key", key)
    return Operation(_DELETE, _keys(space, key), (key,), lambda _reply: None)


def put_if_absent(space: Namespace, key: str, value: Any) -> Operation[bool]:
    """Store a value under a key that has none: of all processes that try, one does.

    Args:
        key: The key: any text of up to 512 bytes.
        value: See `put`.

    Returns:
        True when this call stored it; False when there was a value.

    Raises:
        InvalidTypeError, InvalidValueError, PayloadTooLargeError: The key or the value cannot be stored.
    """
    check_id("key", key)
    data = encode("value", value, space.payload_limit)
    return Operation(
        _PUT_IF_ABSENT, _keys(space, key), (key, data, call_id()), lambda reply: reply[0] == b"STORED"
    )


def list_keys(space: Namespace, prefix: str = "") -> Steps[list[str]]:
    """Return the keys that begin with a prefix, in the order of their bytes.

    Args:
        prefix: The prefix; empty: all keys.
    """
    if prefix:
        check_id("prefix", prefix)
    first, end = f"[{prefix}".encode(), b"(" + prefix.encode() + b"\xff" if prefix else b"+"
    index = space.keys.values[1]
    keys: list[str] = []
    while True:
        page = yield from ask(Operation(_LIST_KEYS, (index,), (first, end, KEYS_PER_SCRIPT), _read_keys))
        keys += page
        if len(page) < KEYS_PER_SCRIPT:
            return keys
        first = b"(" + page[-1].encode()


def _read_keys(reply: Sequence[Any]) -> list[str]:
    return [key.decode() for key in reply[1:]]


def _keys(space: Namespace, key: str) -> tuple[str, str, str]:
    values, index, storers = space.keys.values
    return values + key, index, storers + key
