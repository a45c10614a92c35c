"""The shared cache: tags, prefixes, metrics, and stored bytes that are no entry."""

import pytest

from converge_redis import InvalidTypeError, InvalidValueError, StoreReplyError
from converge_redis.cache.statistics import EVENTS
from tests.cache.computation import Computation, make_cache, statistics_of
from tests.support.fleet import Fleet


async def test_deleting_a_tag_deletes_the_values_that_have_it(fleet: Fleet) -> None:
    cache, other = make_cache(fleet), make_cache(fleet, prefix="apart:")
    await cache.put("a", 1, 100, tags=["x", "y z"])
    await cache.put("b", 2, 100, tags=["x"])
    await cache.put("c", 3, 100)
    await other.put("d", 4, 100, tags=["x"])
    await cache.delete_tags("y z")
    assert [await cache.get(key) for key in "abc"] == [None, 2, 3]
    await cache.delete_tags("x")
    assert [await cache.get(key) for key in "abc"] == [None, None, 3]
    assert await other.get("d") == 4
    await cache.put("a", 5, 100, tags=["x"])
    assert await cache.get("a") == 5
    await cache.delete_tags([])
    assert await cache.get("a") == 5


async def test_a_tag_lives_as_long_as_the_longest_value_that_has_it(fleet: Fleet) -> None:
    cache = make_cache(fleet)
    await cache.put("short", 1, 0.05, tags=["t"])
    await cache.put("long", 1, 1000, tags=["t"])
    await cache.put("short", 1, 0.05, tags=["t"])
    tag = fleet.namespaces["test"].keys.tag("cache%3At")
    assert fleet.raw.pttl(tag) > 1_000_000
    await cache.delete_tags("t")
    assert fleet.raw.pttl(tag) > 1_000_000
    assert await cache.get("long") is None


async def test_caches_with_different_prefixes_share_no_key(fleet: Fleet) -> None:
    cache, other = make_cache(fleet), make_cache(fleet, prefix="apart:")
    await cache.put("key", 1, 100)
    await other.put("key", 2, 100)
    assert [await cache.get("key"), await other.get("key")] == [1, 2]
    assert [await cache.count(), await other.count()] == [1, 1]
    assert await cache.clear() == 1
    assert [await cache.get("key"), await other.get("key")] == [None, 2]


async def test_invalid_settings_are_refused(fleet: Fleet) -> None:
    with pytest.raises(InvalidTypeError, match="early must be a number"):
        make_cache(fleet, early="soon")
    with pytest.raises(InvalidValueError, match="early must be from 0"):
        make_cache(fleet, early=-1)
    with pytest.raises(InvalidValueError, match="prefix must not be empty"):
        make_cache(fleet, prefix="")


@pytest.mark.parametrize(
    "raw",
    [b"", b"x", b"\n", b"1\n", b"1 x y z\n\x01", b"1 x\n\xc1", b"1\n\xc1", b"x 9999999999999 0 0\n\x01"],
)
async def test_hostile_bytes_raise_an_error_and_can_be_overwritten(fleet: Fleet, raw: bytes) -> None:
    cache = make_cache(fleet)
    fleet.is_intact = False
    fleet.raw.set(fleet.namespaces["test"].keys.value("cache:key"), raw)
    with pytest.raises(StoreReplyError):
        await cache.get("key")
    await cache.delete("key")
    computation = Computation(fleet).finish()
    assert await cache.get_or_compute("key", computation.function, 100) == "computed"


async def test_an_entry_that_expired_long_ago_is_not_returned(fleet: Fleet) -> None:
    cache = make_cache(fleet)
    fleet.is_intact = False
    for raw in (b"1 2\n\x01", b"1 2 3 4 t\n\x01"):
        fleet.raw.set(fleet.namespaces["test"].keys.value("cache:key"), raw)
        assert await cache.get("key") is None


async def test_metrics_count_the_events_of_a_cache(fleet: Fleet) -> None:
    counted = dict[str, float]()

    class Metrics:
        def inc(self, name: str, value: float = 1, **labels: str) -> None:
            if name == EVENTS:
                assert labels["cache"] == "cache:"
                counted[labels["event"]] = counted.get(labels["event"], 0) + value

        def observe(self, name: str, seconds: float, **labels: str) -> None:
            pass

    cache = make_cache(fleet, coordination_metrics=Metrics())
    computation = Computation(fleet).finish()
    for _ in range(3):
        await cache.get_or_compute("key", computation.function, 100)
    statistics = await statistics_of(cache)
    assert (counted["hits"], counted["misses"], counted["computes"]) == (2, 1, 1)
    assert counted["bytes_read"] == statistics.bytes_read > 0
