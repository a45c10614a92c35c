"""The codec: payloads as msgpack with five extension types; decoding executes nothing.

It encodes None, bool, int (64 bits), float, str, bytes, list, dict, tuple, set, frozenset and datetime, and
in stored values also instances of the store's registered types. Anything else raises an error that names the
part of the payload.
"""

import datetime
from functools import partial
from typing import Any, cast

import msgpack

from converge_redis.core.registered_types import RegisteredTypes, is_typed, plain_field
from converge_redis.core.validation import short_repr
from converge_redis.errors import (
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
    StoreReplyError,
)

_CONTAINERS: dict[int, type[Any]] = {1: tuple, 2: set, 3: frozenset}
_DATETIME, _TYPED = 4, 5

MAX_NESTING = 100
"""Levels of nested tuples, sets and typed values: decoding each one takes a part of the C stack."""

MAX_KEPT = 64 * 1024
"""Bytes of a payload above which its packer is dropped, as it would keep a buffer of that size."""


class Codec:
    """Encodes payloads as bytes, and decodes them.

    Args:
        types: The pydantic models and dataclasses whose instances may be in payloads; None: none.
    """

    def __init__(self, types: RegisteredTypes | None = None) -> None:
        self._types = types or RegisteredTypes(())
        self._packers = list[msgpack.Packer]()
        self._hook = partial(self._value, 0)

    def encode(self, field: str, value: Any, limit: int) -> bytes:
        """Encode a payload.

        Args:
            field: The name of the payload, for errors.
            value: The payload.
            limit: The largest size allowed, in bytes.

        Raises:
            InvalidTypeError: Some part has a type that cannot be stored; the message names the part.
            InvalidValueError: An integer beyond 64 bits, text that is not Unicode, nesting beyond 500 levels,
                or beyond 100 of tuples, sets and typed values.
            PayloadTooLargeError: The encoded payload exceeds the limit.
        """
        try:  # a packer is reused: making one takes as long as packing a small payload
            try:
                packer = self._packers.pop()
            except IndexError:  # other threads use all of them
                packer = self._new_packer()
            data: bytes = packer.pack(value)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise self._explain(field, value, error) from error
        if len(data) <= MAX_KEPT:
            self._packers.append(packer)  # a packer that failed is dropped
        if len(data) > limit:
            raise PayloadTooLargeError(
                f"{field} takes {len(data)} bytes, the store's payload_limit is {limit}: "
                "store the data elsewhere and pass a reference, or raise the limit"
            )
        return data

    def decode(self, data: bytes | memoryview) -> Any:
        """Decode what `encode` made.

        Raises:
            StoreReplyError: The bytes are not a payload of this package, or of a type that is not registered.
        """
        try:
            return msgpack.unpackb(data, ext_hook=self._hook, strict_map_key=False, timestamp=3)
        except StoreReplyError:
            raise
        except Exception as error:  # msgpack's own errors, and any that hostile bytes provoke
            raise StoreReplyError(
                f"stored data cannot be decoded: {error!r}: {short_repr(bytes(data[:80]))}"
            ) from error

    def _new_packer(self) -> msgpack.Packer:
        return msgpack.Packer(default=partial(self._extension, 0, False), strict_types=True)

    def _pack(self, value: Any, depth: int, is_field: bool = False) -> bytes:
        if depth > MAX_NESTING:
            raise ValueError(f"it is nested deeper than {MAX_NESTING} levels")
        default = partial(self._extension, depth, is_field)
        return cast(bytes, msgpack.packb(value, default=default, strict_types=True))

    def _extension(self, depth: int, is_field: bool, value: Any) -> Any:
        """Encode a type that msgpack lacks as an extension, an instance of a subclass as its plain type.

        Fields of typed values may have further types, which their annotations restore.
        """
        if is_field and (plain := plain_field(value)) is not None:
            return plain
        match value:
            case tuple() | set() | frozenset():
                code = next(code for code, kind in _CONTAINERS.items() if isinstance(value, kind))
                items = list(value) if isinstance(value, tuple) else self._sorted(value)
                return msgpack.ExtType(code, self._pack(items, depth + 1, is_field))
            case datetime.datetime():
                return msgpack.ExtType(_DATETIME, value.isoformat().encode())
            case str() | int() | float() | bytes() | list() | dict():
                return _plain(value)
            case bytearray() | memoryview():
                return bytes(value)
        if self._types.has(value):
            return msgpack.ExtType(_TYPED, self._pack(self._types.stored_form(value), depth + 1, True))
        raise TypeError(f"cannot store {type(value).__name__}")

    def _sorted(self, members: set[Any] | frozenset[Any]) -> list[Any]:
        """Return a set's members in an order that depends on values only: equal sets, equal bytes."""
        return sorted(members, key=lambda member: self._pack(member, 0, True))

    def _value(self, depth: int, code: int, data: bytes) -> Any:
        if code == _DATETIME:
            return datetime.datetime.fromisoformat(data.decode())
        make: Any = self._types.value_of if code == _TYPED else _CONTAINERS.get(code)
        if make is None:
            raise ValueError(f"unknown extension type {code}")
        if depth >= MAX_NESTING:
            raise ValueError(f"it is nested deeper than {MAX_NESTING} levels")
        # Not unpackb, which takes tens of kilobytes of the C stack: some hundred levels would crash the
        # process.
        unpacker = msgpack.Unpacker(
            ext_hook=partial(self._value, depth + 1),
            strict_map_key=False,
            timestamp=3,
            max_buffer_size=max(1, len(data)),
        )
        unpacker.feed(data)
        found = unpacker.unpack()
        if unpacker.tell() != len(data):
            raise ValueError("there are bytes after the end")
        return make(found)

    def _explain(self, field: str, value: Any, error: Exception) -> Exception:
        """Return the error for a payload that cannot be encoded; it names the part."""
        seen: set[int] = set()
        todo: list[tuple[str, Any, int, bool]] = [(field, value, 0, False)]
        while todo:
            where, part, depth, is_field = todo.pop()
            is_known = self._types.has(part)
            if is_known or isinstance(part, dict | list | tuple | set | frozenset):
                if id(part) in seen or depth > 500:
                    return InvalidValueError(
                        f"{field} is nested too deeply, or contains itself: {short_repr(value)}"
                    )
                seen.add(id(part))
                if is_known:
                    _, fields = self._types.stored_form(part)
                    todo += [(f"{where}.{name}", item, depth + 1, True) for name, item in fields.items()]
                elif isinstance(part, dict):
                    todo += [(f"{where} key {key!r}", key, depth + 1, is_field) for key in part]
                    todo += [(f"{where}[{key!r}]", item, depth + 1, is_field) for key, item in part.items()]
                else:
                    todo += [
                        (f"{where}[{index}]", item, depth + 1, is_field) for index, item in enumerate(part)
                    ]
                continue
            try:
                self._pack(part, 0, is_field)
            except (ValueError, OverflowError):
                return InvalidValueError(f"{where} cannot be stored: {short_repr(part)}")
            except TypeError:
                hint = "; register it with the store (types=)" if is_typed(part) else ""
                return InvalidTypeError(
                    f"{where} has the type {type(part).__module__}.{type(part).__qualname__}, which cannot "
                    f"be stored: {short_repr(part)}; use None, bool, int, float, str, bytes, list, dict, "
                    f"tuple, "
                    f"set, datetime{hint}"
                )
        return InvalidValueError(f"{field} cannot be stored: {error}: {short_repr(value)}")


def _plain(value: Any) -> Any:
    """Return an instance of a subclass (a StrEnum, an IntEnum, a defaultdict) as its plain type."""
    if isinstance(value, str):
        return str.__str__(value)  # str(value) would call the subclass
    plain: Any = next(plain for plain in (int, float, bytes, list, dict) if isinstance(value, plain))
    return plain(value)


_untyped = Codec()
encode = _untyped.encode
decode = _untyped.decode
