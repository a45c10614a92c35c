"""Payloads survive the way to bytes and back; whatever else comes from the server is a clear error."""

import contextlib
import datetime
import enum
import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from converge_redis import InvalidTypeError, InvalidValueError, PayloadTooLargeError, StoreReplyError
from converge_redis.core.codec import decode, encode

LIMIT = 1024 * 1024

moments = st.datetimes(timezones=st.none() | st.timezones())
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
    """Equal, and of the same types all the way down."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return bool(a == b)


@given(values)
def test_values_come_back(value: Any) -> None:
    assert same(decode(encode("value", value, LIMIT)), value)


@given(moments)
def test_moments_come_back(moment: datetime.datetime) -> None:
    again = decode(encode("value", moment, LIMIT))
    assert again.isoformat() == moment.isoformat()


def test_floats_that_are_not_numbers_come_back() -> None:
    nan, infinite = decode(encode("value", [math.nan, -math.inf], LIMIT))
    assert math.isnan(nan)
    assert infinite == -math.inf


@given(st.sets(st.text(), min_size=2))
def test_equal_sets_have_equal_bytes(members: set[str]) -> None:
    backwards: set[str] = set()
    for member in reversed(list(members)):
        backwards.add(member)
    assert encode("value", members, LIMIT) == encode("value", backwards, LIMIT)


def test_subclasses_are_stored_as_the_plain_type() -> None:
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
def test_what_cannot_be_stored_is_named(value: Any, where: str) -> None:
    with pytest.raises(InvalidTypeError) as caught:
        encode("payload", value, LIMIT)
    assert where in str(caught.value)


@pytest.mark.parametrize(
    ("value", "where"),
    [([2**64], "payload[0]"), ({"a": -(2**63) - 1}, "payload['a']"), ("\ud800", "payload")],
)
def test_values_out_of_range_are_named(value: Any, where: str) -> None:
    with pytest.raises(InvalidValueError, match="cannot be stored") as caught:
        encode("payload", value, LIMIT)
    assert str(caught.value).startswith(where)


def test_a_payload_that_contains_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append({"again": circle})
    with pytest.raises(InvalidValueError, match="contains itself"):
        encode("payload", circle, LIMIT)


def test_deep_nesting_is_refused() -> None:
    deep: Any = 1
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(InvalidValueError, match="nested too deeply"):
        encode("payload", deep, LIMIT)


def test_the_limit_is_exact() -> None:
    assert len(encode("payload", b"x" * 100, 102)) == 102
    with pytest.raises(PayloadTooLargeError, match=r"payload takes 102 bytes, .* is 101"):
        encode("payload", b"x" * 100, 101)


@given(st.binary(max_size=200))
def test_hostile_bytes_give_a_clear_error_or_a_plain_value(data: bytes) -> None:
    with contextlib.suppress(StoreReplyError):
        encode("value", decode(data), 2**31)  # of the types that are stored, and nothing else


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        b"\xdd\xff\xff\xff\xff",  # a list of 4 billion
        b"\xc6\xff\xff\xff\xff",  # bytes, 4 GiB of them
        b"\x91" * 5000,
        bytes(msgpack.packb(msgpack.ExtType(99, b"x"))),
        bytes(msgpack.packb(msgpack.ExtType(4, b"not a date"))),
        bytes(msgpack.packb(msgpack.ExtType(2, b"\x91\x90"))),  # a set that holds a list
        b"\x01\x02",
    ],
)
def test_known_attacks_give_a_clear_error(data: bytes) -> None:
    with pytest.raises(StoreReplyError):
        decode(data)
