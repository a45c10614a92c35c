"""Payloads as bytes: msgpack with three extension types, and nothing that is executed on the way back.

Encoded are None, bool, int (64 bits), float, str, bytes, list, dict, tuple, set, frozenset and datetime.
Anything else is a clear error that names where it stands in the payload.
"""

import datetime
from typing import Any, cast

import msgpack

from converge_redis.checks import shown
from converge_redis.errors import (
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
    StoreReplyError,
)

_TUPLE, _SET, _FROZENSET, _DATETIME = 1, 2, 3, 4


def encode(field: str, value: Any, limit: int) -> bytes:
    """Encode a payload.

    Args:
        field: The name to use in errors.
        value: The payload.
        limit: The largest size allowed, in bytes.

    Raises:
        InvalidTypeError: Some part has a type that cannot be stored; the message names the part.
        InvalidValueError: An integer beyond 64 bits, text that is not Unicode, or nesting beyond 500 levels.
        PayloadTooLargeError: The encoded payload exceeds the limit.
    """
    try:
        data = cast(bytes, msgpack.packb(value, default=_extension, strict_types=True))
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise _explain(field, value, error) from error
    if len(data) > limit:
        raise PayloadTooLargeError(
            f"{field} takes {len(data)} bytes, the store's payload_limit is {limit}: "
            "store the data elsewhere and pass a reference, or raise the limit"
        )
    return data


def decode(data: bytes) -> Any:
    """Decode what `encode` made.

    Raises:
        StoreReplyError: The bytes are not a payload of ours.
    """
    try:
        return msgpack.unpackb(data, ext_hook=_value, strict_map_key=False)
    except Exception as error:  # msgpack's own tree, and whatever hostile bytes provoke in it
        raise StoreReplyError(f"stored data cannot be decoded: {error!r}: {shown(data)}") from error


def _pack(value: Any) -> bytes:
    return cast(bytes, msgpack.packb(value, default=_extension, strict_types=True))


def _extension(value: Any) -> Any:
    """Turn a value that msgpack lacks into an extension; subclasses of plain types into the plain type."""
    match value:
        case tuple():
            return msgpack.ExtType(_TUPLE, _pack(list(value)))
        case set():
            return msgpack.ExtType(_SET, _pack(_in_order(value)))
        case frozenset():
            return msgpack.ExtType(_FROZENSET, _pack(_in_order(value)))
        case datetime.datetime():
            return msgpack.ExtType(_DATETIME, value.isoformat().encode())
        case str() | int() | float() | bytes() | list() | dict():
            return _plain(value)
        case bytearray() | memoryview():
            return bytes(value)
    raise TypeError(f"cannot store {type(value).__name__}")


def _plain(value: Any) -> Any:
    """Return an instance of a subclass (a StrEnum, an IntEnum, a defaultdict) as its plain type."""
    if isinstance(value, str):
        return str.__str__(value)  # str(value) would ask the subclass
    plain: Any = next(plain for plain in (int, float, bytes, list, dict) if isinstance(value, plain))
    return plain(value)


def _in_order(members: set[Any] | frozenset[Any]) -> list[Any]:
    """Return a set's members in an order that depends on their values only: equal sets, equal bytes."""
    return sorted(members, key=_pack)


def _value(code: int, data: bytes) -> Any:
    if code == _DATETIME:
        return datetime.datetime.fromisoformat(data.decode())
    make = {_TUPLE: tuple, _SET: set, _FROZENSET: frozenset}.get(code)
    if make is None:
        raise ValueError(f"unknown extension type {code}")
    return make(decode(data))


def _explain(field: str, value: Any, error: Exception) -> Exception:
    """Find the part of a payload that cannot be encoded, and say where it stands."""
    seen: set[int] = set()
    todo: list[tuple[str, Any, int]] = [(field, value, 0)]
    while todo:
        where, part, depth = todo.pop()
        if isinstance(part, dict | list | tuple | set | frozenset):
            if id(part) in seen or depth > 500:
                return InvalidValueError(f"{field} is nested too deeply, or contains itself: {shown(value)}")
            seen.add(id(part))
            if isinstance(part, dict):
                todo += [(f"{where} key {key!r}", key, depth + 1) for key in part]
                todo += [(f"{where}[{key!r}]", item, depth + 1) for key, item in part.items()]
            else:
                todo += [(f"{where}[{index}]", item, depth + 1) for index, item in enumerate(part)]
            continue
        try:
            _pack(part)
        except (ValueError, OverflowError):
            return InvalidValueError(f"{where} cannot be stored: {shown(part)}")
        except TypeError:
            return InvalidTypeError(
                f"{where} has the type {type(part).__module__}.{type(part).__qualname__}, which cannot be "
                f"stored: {shown(part)}; use None, bool, int, float, str, bytes, list, dict, tuple, "
                "set, datetime"
            )
    return InvalidValueError(f"{field} cannot be stored: {error}: {shown(value)}")
