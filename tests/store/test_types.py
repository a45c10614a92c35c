"""Values of registered types, compressed values, and hostile bytes in place of a value."""

import contextlib
import dataclasses
import datetime
import decimal
import enum
import ipaddress
import pathlib
import random
import struct
import uuid
from typing import Any

import msgpack
import pytest
import zstandard
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr

from converge_redis import (
    ConfigurationError,
    InvalidTypeError,
    InvalidValueError,
    RedisStore,
    StoreReplyError,
)
from converge_redis.core.value_format import ValueFormat, split_header
from tests.core.test_codec import same
from tests.core.test_codec import values as plain_values
from tests.support.backends import Backend

LIMIT = 1024 * 1024


class Colour(enum.Enum):
    RED = "red"


class Line(BaseModel, extra="forbid"):
    sku: str
    price: decimal.Decimal = decimal.Decimal("1.10")
    colour: Colour = Colour.RED
    due: datetime.date = datetime.date(2026, 1, 2)


class OpenModel(BaseModel, extra="allow"):
    name: str = Field("n", alias="theName")


@dataclasses.dataclass(frozen=True)
class Order:
    id: uuid.UUID
    lines: list[Line]
    path: pathlib.PurePosixPath
    host: ipaddress.IPv4Address
    tags: frozenset[str] = frozenset()
    duration: datetime.timedelta = datetime.timedelta(seconds=1.5)
    sizes: tuple[decimal.Decimal, ...] = ()
    more: Any = None
    length: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.lines))


class NewLine(Line):
    """The type as a later version of a program has it."""

    model_config = {"extra": "ignore"}
    amount: int = 1


ORDER = Order(
    uuid.UUID(int=7),
    [Line(sku="a"), Line(sku="b", price=decimal.Decimal("2"))],
    pathlib.PurePosixPath("/a"),
    ipaddress.IPv4Address("127.0.0.1"),
    frozenset({"x", "y"}),
    sizes=(decimal.Decimal("1.5"),),
    more={"line": Line(sku="c"), "bytes": b"\xff"},
)


def value_format(*types: type, limit: int = LIMIT, above: int | None = None, **by_name: type) -> ValueFormat:
    return ValueFormat(by_name or types, limit, above)


async def test_values_of_registered_types_keep_their_type(real_fleet: Any) -> None:
    store = real_fleet.store(types=[Order, Line])
    await store.put("order", [ORDER, {"again": ORDER}])
    assert await store.get("order") == [ORDER, {"again": ORDER}]
    assert (await store.get_many(["order"]))["order"][0].lines[1].price == decimal.Decimal("2")


def test_extra_fields_of_an_open_model_are_kept() -> None:
    open_format = value_format(OpenModel)
    value = OpenModel(theName="x", other=[1])  # type: ignore[call-arg]
    assert open_format.decode(open_format.encode(value)) == value


def test_values_are_read_by_changed_versions_of_their_type() -> None:
    written = value_format(line=Line).encode(Line(sku="s", price=decimal.Decimal(3)))
    read: Any = value_format(line=NewLine).decode(written)
    assert (read.sku, read.price, read.amount) == ("s", 3, 1)
    with_more_fields = value_format(line=NewLine).encode(read)
    back = value_format(line=Line).decode(with_more_fields)  # though this type forbids extra fields
    assert back == Line(sku="s", price=decimal.Decimal(3))
    strict: Any = type("Strict", (BaseModel,), {"__annotations__": {"unknown_before": int}})
    with pytest.raises(StoreReplyError, match=r"'line' does not fit.*unknown_before"):
        value_format(line=strict).decode(with_more_fields)


def test_unregistered_types_are_refused() -> None:
    with pytest.raises(InvalidTypeError, match=r"value\['x'\]\[0\] has the type .*Line.*types="):
        value_format(Order).encode({"x": [Line(sku="a")]})
    with pytest.raises(InvalidTypeError, match=r"value\.more\['line'\] has the type .*Line"):
        value_format(Order).encode(ORDER)
    with pytest.raises(InvalidTypeError, match="NewLine"):
        value_format(Line).encode(NewLine(sku="a"))  # a subclass is another type
    written = value_format(Line).encode([Line(sku="a")])
    with pytest.raises(StoreReplyError, match="'Line', which is not registered"):
        value_format(Order).decode(written)


def test_fields_of_unsupported_types_are_refused() -> None:
    model: Any = type("Safe", (BaseModel,), {"__annotations__": {"secret": SecretStr}})
    with pytest.raises(InvalidTypeError, match=r"value\.secret has the type .*SecretStr"):
        value_format(model).encode(model(secret="s"))
    with pytest.raises(InvalidTypeError, match=r"value has the type decimal\.Decimal"):
        value_format(Order).encode(decimal.Decimal(1))  # outside a field its type is not known at reading


def test_two_types_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two types have the name 'Line'"):
        value_format(Line, type("Line", (BaseModel,), {}))


def test_values_above_the_threshold_are_compressed_if_that_makes_them_shorter(real: Backend) -> None:
    with real.store(compress_above=100) as store, real.store() as other:
        long, noise = ["word " * 1000], random.Random(1).randbytes(500)
        store.put_many({"long": long, "short": "x", "noise": noise})
        assert real.client().strlen(store._namespace.keys.value("long")) < 100
        assert other.get_many(["long", "short", "noise"]) == {"long": long, "short": "x", "noise": noise}


def test_a_compressed_value_is_not_expanded_beyond_the_payload_limit() -> None:
    limited = value_format(limit=1000)
    bomb = b"\xc1" + zstandard.compress(msgpack.packb("x" * 10_000_000))
    assert len(bomb) < 1000
    with pytest.raises(StoreReplyError, match="payload_limit is 1000"):
        limited.decode(bomb)
    endless = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    frame = endless.compress(b"\x00" * 5000) + endless.flush()
    with pytest.raises(StoreReplyError, match="payload_limit"):
        limited.decode(b"\xc1" + frame)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plain_values, st.sampled_from([None, 0, 30]))
def test_decoding_returns_an_equal_value_with_and_without_compression(value: Any, above: int | None) -> None:
    plain_format = value_format(above=above)
    assert same(plain_format.decode(plain_format.encode(value)), value)


def nested(levels: int, data: bytes = b"\x90", code: int = 1) -> bytes:
    for _ in range(levels):
        data = msgpack.packb(msgpack.ExtType(code, data))
    return data


HOSTILE = [
    b"",
    b"\n",
    b"1",
    b"1\n",
    b"x\n\x01",
    b"-1\n\x01",
    b"1\n\xdd\xff\xff\xff\xff",  # an array of 4 billion
    b"1\n\xc6\xff\xff\xff\xffx",  # 4 billion bytes
    b"1\n\xc9\xff\xff\xff\xff\x05",
    b"1\n\xc1",
    b"1\n\xc1\x28\xb5\x2f\xfd",
    b"1\n" + b"\x91" * 100_000,  # lists in lists
    b"1\n" + nested(5000),  # a recursive decoder would end the process
    b"1\n" + nested(5000, code=5),
    b"1\n" + msgpack.packb(msgpack.ExtType(5, msgpack.packb(["os.system", {"command": "true"}]))),
    b"1\n" + msgpack.packb(msgpack.ExtType(5, msgpack.packb("Line"))),
    b"1\n" + msgpack.packb(msgpack.ExtType(5, msgpack.packb([["Line"], {}]))),
    b"1\n" + msgpack.packb(msgpack.ExtType(5, msgpack.packb(["Line", 5]))),
    b"1\n" + msgpack.packb(msgpack.ExtType(5, msgpack.packb(["Line", {"sku": {"a": 1}}]))),
    b"1\n" + msgpack.packb(msgpack.ExtType(2, msgpack.packb([[1]]))),
    b"1\n" + msgpack.packb(msgpack.ExtType(77, b"")),
    b"1\n" + msgpack.packb(msgpack.ExtType(4, b"never")),
    b"1\n" + msgpack.packb(msgpack.ExtType(1, b"\x90\x90")),
    b"1\n\xc7\x0c\xff" + struct.pack(">Iq", 10**9, 2**62),  # a time out of range
    b"1\n\x81\x90\x01",  # a list as a key
]


@pytest.mark.parametrize("raw", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_raise_an_error_and_can_be_overwritten(backend: Backend, raw: bytes) -> None:
    with backend.store(types=[Line]) as store:
        backend.client().set(store._namespace.keys.value("key"), raw)
        for read in (store.get, store.get_versioned, lambda key: store.get_many([key])):
            with pytest.raises((StoreReplyError, InvalidValueError)):
                read("key")
        store.put("key", 1)
        assert store.get("key") == 1


DECODED_TYPES = (
    type(None),
    bool,
    int,
    float,
    str,
    bytes,
    list,
    dict,
    tuple,
    set,
    frozenset,
    datetime.datetime,
    Line,
)


@settings(max_examples=500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=200))
@example(b"1\n" + msgpack.packb(msgpack.Timestamp(5)))
def test_random_bytes_are_an_error_or_a_value_of_a_known_type(raw: bytes) -> None:
    try:
        value = value_format(Line).decode(split_header(b"1\n" + raw)[1])
    except StoreReplyError:
        return
    assert type(value) in DECODED_TYPES


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plain_values, st.data())
def test_damaged_bytes_are_an_error_or_a_value_of_a_known_type(value: Any, data: st.DataObject) -> None:
    raw = bytearray(value_format(above=20).encode([value, Line(sku="s").model_dump(mode="json")]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    truncated = bytes(raw[: data.draw(st.integers(0, len(raw)))])
    with contextlib.suppress(StoreReplyError):
        assert type(value_format(Line).decode(truncated)) in DECODED_TYPES


def test_deeply_nested_tuples_are_refused_and_not_stored(real: Backend) -> None:
    deep: Any = ()
    for _ in range(150):
        deep = (deep,)
    with real.store() as store:
        assert isinstance(store, RedisStore)
        with pytest.raises(InvalidValueError, match="deeper than 100"):
            store.put("key", deep)
        assert store.get("key") is None
