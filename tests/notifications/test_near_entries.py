"""Near entries: which reads are stored, and when entries are dropped."""

import pytest

from converge_redis import InvalidValueError, NearCache
from converge_redis.notifications.near_entries import ENTRY_BYTES, NearEntries, PendingRead


def subscribed(**settings: int) -> NearEntries:
    entries = NearEntries(NearCache(**settings))
    entries.on_subscribed()
    return entries


def store(read: PendingRead, name: str, value: object, version: int | None = None, size: int = 1) -> None:
    read.store(("get", name), value, lambda: value, size, version=version)


def value_of(entries: NearEntries, name: str) -> object:
    entry = entries.find(("get", name))
    return None if entry is None else entry.get()


def test_an_entry_is_kept_until_one_of_its_keys_changes() -> None:
    entries = subscribed()
    with entries.reading(["a", "b"]) as read:
        store(read, "x", 1)
    assert value_of(entries, "x") == 1
    entries.drop([b"c"])
    assert value_of(entries, "x") == 1
    entries.drop([b"b"])
    assert value_of(entries, "x") is None
    assert entries.statistics().invalidations == 1
    assert entries.statistics().bytes == 0


def test_a_read_is_not_stored_if_its_key_changes_meanwhile() -> None:
    entries = subscribed()
    with entries.reading(["a"]) as read:
        entries.drop([b"a"])
        store(read, "x", 1)
    assert value_of(entries, "x") is None
    with entries.reading(["a"]) as read:
        entries.drop_all()
        store(read, "x", 1)
    assert value_of(entries, "x") is None


def test_a_read_is_stored_only_if_subscribed_from_its_start_to_its_end() -> None:
    entries = NearEntries(NearCache())
    with entries.reading(["a"]) as read:
        entries.on_subscribed()
        store(read, "x", 1)
    assert value_of(entries, "x") is None
    with entries.reading(["a"]) as read:
        store(read, "x", 1)
    assert value_of(entries, "x") == 1
    entries.on_lost()
    assert value_of(entries, "x") is None
    entries.on_subscribed()
    assert value_of(entries, "x") is None
    assert entries.statistics().losses == 1
    with entries.reading(["a"]) as read:
        entries.on_lost()
        entries.on_subscribed()
        store(read, "x", 1)
    assert value_of(entries, "x") is None


def test_an_older_version_does_not_replace_a_newer_one() -> None:
    entries = subscribed()
    with entries.reading(["a"]) as slow:
        with entries.reading(["a"]) as fast:
            store(fast, "x", "new", 5)
        store(slow, "x", "old", 4)
    assert value_of(entries, "x") == "new"


def test_of_two_overlapping_reads_without_versions_none_is_stored() -> None:
    entries = subscribed()
    with entries.reading(["a"]) as slow:
        with entries.reading(["a"]) as fast:
            store(fast, "x", "one")
        store(slow, "x", "another")
    assert value_of(entries, "x") is None


def test_limits_evict_the_entries_that_were_not_used() -> None:
    entries = subscribed(max_entries=3)
    for name in "abc":
        with entries.reading([name]) as read:
            store(read, name, name)
    assert value_of(entries, "a") == "a"
    with entries.reading(["d"]) as read:
        store(read, "d", "d")
    assert [value_of(entries, name) for name in "abcd"] == ["a", None, "c", "d"]
    assert entries.statistics().evictions == 1
    tight = subscribed(max_bytes=2 * (ENTRY_BYTES + 100))
    for name in "abc":
        with tight.reading([name]) as read:
            store(read, name, name, size=100)
    assert tight.statistics().entries == 2
    with tight.reading(["large"]) as read:
        store(read, "large", 1, size=10_000)
    assert value_of(tight, "large") is None
    assert tight.statistics().entries == 2


def test_an_entry_expires_with_its_value() -> None:
    entries = subscribed()
    with entries.reading(["a"]) as read:
        read.store(("get", "x"), 1, lambda: 1, 1, valid_for=0.0)
        read.store(("get", "y"), 1, lambda: 1, 1, valid_for=100.0)
    assert value_of(entries, "x") is None
    assert value_of(entries, "y") == 1


def test_a_read_that_fails_is_unregistered() -> None:
    entries = subscribed()
    with pytest.raises(KeyError), entries.reading(["a", "b"]):
        raise KeyError
    assert entries._reads == {}


def test_invalid_settings_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="max_entries"):
        NearCache(max_entries=0)
