"""The copies of a listener: which are kept, which are dropped, when nothing is kept."""

import pytest

from converge_redis import InvalidValueError, NearCache
from converge_redis.notifications.near_entries import ENTRY_BYTES, NearCopies, Reading


def heard(**settings: int) -> NearCopies:
    copies = NearCopies(NearCache(**settings))
    copies.on_heard()
    return copies


def keep(reading: Reading, name: str, value: object, version: int | None = None, size: int = 1) -> None:
    reading.keep(("get", name), value, lambda: value, size, version=version)


def value_of(copies: NearCopies, name: str) -> object:
    copy = copies.find(("get", name))
    return None if copy is None else copy.get()


def test_kept_until_a_key_changes() -> None:
    copies = heard()
    with copies.reading(["a", "b"]) as reading:
        keep(reading, "x", 1)
    assert value_of(copies, "x") == 1
    copies.drop([b"c"])
    assert value_of(copies, "x") == 1
    copies.drop([b"b"])
    assert value_of(copies, "x") is None
    assert copies.statistics().invalidations == 1
    assert copies.statistics().bytes == 0


def test_what_changed_while_it_was_read_is_not_kept() -> None:
    copies = heard()
    with copies.reading(["a"]) as reading:
        copies.drop([b"a"])
        keep(reading, "x", 1)
    assert value_of(copies, "x") is None
    with copies.reading(["a"]) as reading:
        copies.drop_all()
        keep(reading, "x", 1)
    assert value_of(copies, "x") is None


def test_what_was_read_unheard_is_not_kept() -> None:
    copies = NearCopies(NearCache())
    with copies.reading(["a"]) as reading:
        copies.on_heard()
        keep(reading, "x", 1)
    assert value_of(copies, "x") is None
    with copies.reading(["a"]) as reading:
        keep(reading, "x", 1)
    assert value_of(copies, "x") == 1
    copies.on_lost()
    assert value_of(copies, "x") is None
    copies.on_heard()
    assert value_of(copies, "x") is None
    assert copies.statistics().losses == 1
    with copies.reading(["a"]) as reading:
        copies.on_lost()
        copies.on_heard()
        keep(reading, "x", 1)
    assert value_of(copies, "x") is None


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    copies = heard()
    with copies.reading(["a"]) as slow:
        with copies.reading(["a"]) as fast:
            keep(fast, "x", "new", 5)
        keep(slow, "x", "old", 4)
    assert value_of(copies, "x") == "new"


def test_of_two_without_versions_that_overlap_neither_is_kept() -> None:
    copies = heard()
    with copies.reading(["a"]) as slow:
        with copies.reading(["a"]) as fast:
            keep(fast, "x", "one")
        keep(slow, "x", "another")
    assert value_of(copies, "x") is None


def test_bounds_drop_what_is_used_least() -> None:
    copies = heard(max_entries=3)
    for name in "abc":
        with copies.reading([name]) as reading:
            keep(reading, name, name)
    assert value_of(copies, "a") == "a"
    with copies.reading(["d"]) as reading:
        keep(reading, "d", "d")
    assert [value_of(copies, name) for name in "abcd"] == ["a", None, "c", "d"]
    assert copies.statistics().evictions == 1
    tight = heard(max_bytes=2 * (ENTRY_BYTES + 100))
    for name in "abc":
        with tight.reading([name]) as reading:
            keep(reading, name, name, size=100)
    assert tight.statistics().entries == 2
    with tight.reading(["large"]) as reading:
        keep(reading, "large", 1, size=10_000)
    assert value_of(tight, "large") is None
    assert tight.statistics().entries == 2


def test_a_copy_ends_with_its_value() -> None:
    copies = heard()
    with copies.reading(["a"]) as reading:
        reading.keep(("get", "x"), 1, lambda: 1, 1, lasts=0.0)
        reading.keep(("get", "y"), 1, lambda: 1, 1, lasts=100.0)
    assert value_of(copies, "x") is None
    assert value_of(copies, "y") == 1


def test_nothing_is_left_of_readings() -> None:
    copies = heard()
    with pytest.raises(KeyError), copies.reading(["a", "b"]):
        raise KeyError
    assert copies._readings == {}


def test_settings() -> None:
    with pytest.raises(InvalidValueError, match="max_entries"):
        NearCache(max_entries=0)
