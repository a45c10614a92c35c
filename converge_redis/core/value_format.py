"""How a store's values look in Redis: a line about the value, then the value.

The line holds words: the value's version, and for entries of a `SharedCache` what `cache/lua/shared/entries.lua`
tells. Then come the bytes of `Codec`; or a zstd frame (RFC 8878) of them after a byte that no msgpack begins
with.
"""

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

from converge_redis.core.codec import Codec
from converge_redis.core.registered_types import ValueTypes
from converge_redis.core.validation import check_integer, shown
from converge_redis.errors import ConfigurationError, StoreReplyError

_COMPRESSED = b"\xc1"


class ValueFormat:
    """Writes and reads values.

    Args:
        types: See `ValueTypes`.
        limit: The most bytes of a value, before it is compressed.
        compress_above: The bytes above which a value is compressed; None: none is.

    Raises:
        ConfigurationError: A type is none, or values are to be compressed and ``zstandard`` is not installed.
    """

    def __init__(
        self, types: Iterable[type] | Mapping[str, type], limit: int, compress_above: int | None
    ) -> None:
        self._codec = Codec(ValueTypes(types))
        self._limit = limit
        self._above = compress_above
        if compress_above is not None:
            check_integer("compress_above", compress_above, 0, 2**29)
            _zstandard(f"compress_above={compress_above}")

    def write(self, value: Any) -> bytes:
        """Encode a value; the script puts the line before it.

        Raises:
            InvalidTypeError, InvalidValueError, PayloadTooLargeError: It cannot be stored.
        """
        data = self._codec.encode("value", value, self._limit)
        if self._above is None or len(data) <= self._above:
            return data
        frame: bytes = _COMPRESSED + _zstandard("compress_above").compress(data)
        return frame if len(frame) < len(data) else data

    def read(self, data: memoryview | bytes) -> Any:
        """Decode a value, without its line.

        Raises:
            StoreReplyError: It is not what `write` makes, or larger than the limit.
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
            raise StoreReplyError(f"a compressed value is broken: {error}: {shown(frame[:80])}") from error
        raise StoreReplyError(
            f"a compressed value takes {size} bytes, this store's payload_limit is {self._limit}: raise it"
        )


def line_of(raw: bytes) -> tuple[list[bytes], memoryview]:
    """Split what is stored into the words of its line, and the value's bytes.

    Raises:
        StoreReplyError: There is no such line.
    """
    end = raw.find(b"\n", 0, 100_000)
    words = raw[: max(end, 0)].split(b" ")
    if end < 0 or not words[0].isdigit():
        raise StoreReplyError(f"a stored value cannot be read: {shown(raw[:80])}")
    return words, memoryview(raw)[end + 1 :]


def _zstandard(wanted_for: str) -> Any:
    try:
        return importlib.import_module("zstandard")
    except ImportError as error:
        raise ConfigurationError(
            f"{wanted_for} needs the package zstandard: pip install 'converge-redis[compression]'"
        ) from error
