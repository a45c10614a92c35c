"""The format of stored values: a header line, then the payload.

The header is the value's version, followed for entries of a `SharedCache` by the fields that
``cache/lua/shared/entries.lua`` lists. The payload is what `Codec` encodes, or a zstd frame (RFC 8878) of it
after a byte with which no msgpack begins.
"""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from converge_redis.core.codec import Codec
from converge_redis.core.registered_types import RegisteredTypes
from converge_redis.core.validation import short_repr, validate_integer
from converge_redis.errors import ConfigurationError, StoreReplyError

_COMPRESSED = b"\xc1"


class ValueFormat:
    """Encodes and decodes values.

    Args:
        types: See `RegisteredTypes`.
        limit: The most bytes of a value, before it is compressed.
        compress_above: The bytes above which a value is compressed; None: none is.

    Raises:
        ConfigurationError: A type cannot be registered, or `compress_above` is set without ``zstandard``.
    """

    def __init__(
        self, types: Iterable[type] | Mapping[str, type], limit: int, compress_above: int | None
    ) -> None:
        self._codec = Codec(RegisteredTypes(types))
        self._limit = limit
        self._above = compress_above
        if compress_above is not None:
            validate_integer("compress_above", compress_above, 0, 2**29)
            _zstandard(f"compress_above={compress_above}")

    def encode(self, value: Any) -> bytes:
        """Encode a value; the script adds the header.

        Raises:
            InvalidTypeError, InvalidValueError, PayloadTooLargeError: It cannot be stored.
        """
        data = self._codec.encode("value", value, self._limit)
        if self._above is None or len(data) <= self._above:
            return data
        frame: bytes = _COMPRESSED + _zstandard("compress_above").compress(data)
        return frame if len(frame) < len(data) else data

    def decode(self, data: memoryview | bytes) -> Any:
        """Decode a payload.

        Raises:
            StoreReplyError: It was not made by `encode`, or is larger than the limit.
        """
        return self._codec.decode(self._expand(data) if data[:1] == _COMPRESSED else data)

    def _expand(self, data: memoryview | bytes) -> bytes:
        zstandard = _zstandard("a compressed value")
        frame = bytes(data[1:])
        try:
            size = zstandard.get_frame_parameters(frame).content_size
            if size <= self._limit:
                expanded: bytes = zstandard.decompress(frame, max_output_size=self._limit)
                return expanded
        except zstandard.ZstdError as error:
            raise StoreReplyError(
                f"a compressed value is broken: {error}: {short_repr(frame[:80])}"
            ) from error
        raise StoreReplyError(
            f"a compressed value takes {size} bytes, this store's payload_limit is {self._limit}: raise it"
        )


def split_header(raw: bytes) -> tuple[list[bytes], memoryview]:
    """Split a stored value into the fields of its header and its payload.

    Raises:
        StoreReplyError: It has no header.
    """
    end = raw.find(b"\n", 0, 100_000)
    fields = raw[: max(end, 0)].split(b" ")
    if end < 0 or not fields[0].isdigit():
        raise StoreReplyError(f"a stored value cannot be read: {short_repr(raw[:80])}")
    return fields, memoryview(raw)[end + 1 :]


def _zstandard(feature: str) -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError as error:
        raise ConfigurationError(
            f"{feature} needs the package zstandard: pip install 'converge-redis[compression]'"
        ) from error
