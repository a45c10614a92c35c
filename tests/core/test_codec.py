"""The codec: payloads are encoded and decoded without loss; all other bytes raise a clear error."""

import contextlib
import datetime
import enum
import math
from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis import InvalidTypeError, InvalidValueError, PayloadTooLargeError, StoreReplyError
from converge_redis.core.codec import decode, encode

LIMIT = 1024 * 1024
unlimited = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine

datetimes = st.datetimes(timezones=st.none() | st.timezones())
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=50)
    | st.binary(max_size=50)
)
hashables = scalars | st.tuples(scalars, scalars) | st.frozensets(scalars, max_size=2)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text() | st.integers(-100, 100), inner, max_size=4)
        | st.tuples(inner, inner)
        | st.sets(hashables, max_size=3)
        | st.frozensets(hashables, max_size=3)
    ),
    max_leaves=10,
)


def same(a: Any, b: Any) -> bool:
    """Return whether values are equal, and of equal types at each level."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@unlimited
@given(values)
def test_decoding_returns_an_equal_value_of_the_same_types(value: Any) -> None:
    assert same(decode(encode("value", value, LIMIT)), value)


@unlimited
@given(datetimes)
def test_datetimes_keep_their_offset(value: datetime.datetime) -> None:
    decoded = decode(encode("value", value, LIMIT))
    assert decoded.isoformat() == value.isoformat()


def test_nan_and_infinity_are_kept() -> None:
    nan, infinite = decode(encode("value", [math.nan, -math.inf], LIMIT))
    assert math.isnan(nan)
    assert infinite == -math.inf


@unlimited
@given(st.sets(st.text(), min_size=2))
def test_equal_sets_have_equal_bytes(members: set[str]) -> None:
    in_other_order: set[str] = set()
    for member in reversed(list(members)):
        in_other_order.add(member)
    assert encode("value", members, LIMIT) == encode("value", in_other_order, LIMIT)


def test_instances_of_subclasses_are_stored_as_the_base_type() -> None:
    class Colour(enum.StrEnum):
        RED = "red"

    class Level(enum.IntEnum):
        HIGH = 3

    assert decode(encode("value", [Colour.RED, Level.HIGH, bytearray(b"x")], LIMIT)) == ["red", 3, b"x"]


@pytest.mark.parametrize(
    ("value", "where"),
    [
        (object(), "payload has the type builtins.object"),
        ({"a": [1, {"b": object()}]}, "payload['a'][1]['b'] has the type builtins.object"),
        ({"f": len}, "payload['f'] has the type builtins.builtin_function_or_method"),
        ([1j], "payload[0] has the type builtins.complex"),
        ({object: 1}, "payload key <class 'object'>"),
    ],
)
def test_errors_name_the_part_with_an_unsupported_type(value: Any, where: str) -> None:
    with pytest.raises(InvalidTypeError) as caught:
        encode("payload", value, LIMIT)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("value", "where"),
    [([2**64], "payload[0]"), ({"a": -(2**63) - 1}, "payload['a']"), ("\ud800", "payload")],
)
def test_errors_name_the_part_that_is_out_of_range(value: Any, where: str) -> None:
    with pytest.raises(InvalidValueError, match="cannot be stored") as caught:
        encode("payload", value, LIMIT)
    assert str(caught.value).startswith(where)


def test_a_payload_that_contains_itself_is_refused() -> None:
    payload: list[Any] = []
    payload.append({"again": payload})
    with pytest.raises(InvalidValueError, match="contains itself"):
        encode("payload", payload, LIMIT)


def test_a_deeply_nested_payload_is_refused() -> None:
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(InvalidValueError, match="nested too deeply"):
        encode("payload", deep, LIMIT)


def test_the_payload_limit_is_exact() -> None:
    assert len(encode("payload", b"x" * 100, 102)) == 102
    with pytest.raises(PayloadTooLargeError, match=r"payload takes 102 bytes, .* is 101"):
        encode("payload", b"x" * 100, 101)


@unlimited
@given(st.binary(max_size=200))
def test_random_bytes_are_an_error_or_a_storable_value(data: bytes) -> None:
    with contextlib.suppress(StoreReplyError):
        encode("value", decode(data), 2**31)  # a decoded value has a type that can be stored


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion
        b"\xc6\xff\xff\xff\xff",  # 4 GiB of bytes
        b"\x91" * 5000,
        bytes(msgpack.packb(msgpack.ExtType(99, b"x"))),
        bytes(msgpack.packb(msgpack.ExtType(4, b"not a date"))),
        bytes(msgpack.packb(msgpack.ExtType(2, b"\x91\x90"))),  # a set that holds a list
        b"\x01\x02",
    ],
)
def test_hostile_bytes_raise_a_store_reply_error(data: bytes) -> None:
    with pytest.raises(StoreReplyError):
        decode(data)
