"""Stale values in place of fresh ones, and values that are computed again before they expire."""

import asyncio

import pytest

from tests.cache.computation import Computation, make_cache, start, statistics_of, until_expired
from tests.support.backends import eventually
from tests.support.fleet import Fleet


async def test_stale_values_are_returned_while_one_call_computes(fleet: Fleet) -> None:
    cache, other = make_cache(fleet), make_cache(fleet)
    computation = Computation(fleet, "new")
    await cache.put("key", "old", 0.02, stale_ttl=100)
    await until_expired(cache, "key")  # `get` returns fresh values only
    computing = start(cache.get_or_compute("key", computation.function, 100, stale_ttl=100))
    await computation.begun()
    for _ in range(3):
        assert await other.get_or_compute("key", computation.function, 100, stale_ttl=100) == "old"
    assert (await statistics_of(other)).stale_serves == 3
    computation.finish()
    assert await computing == "new"
    assert await other.get_or_compute("key", computation.function, 100, stale_ttl=100) == "new"
    assert computation.calls == 1


async def test_stale_values_are_returned_in_place_of_an_error_if_wanted(fleet: Fleet) -> None:
    cache = make_cache(fleet)
    failing = Computation(fleet, error=KeyError("no")).finish()
    with pytest.raises(KeyError):
        await cache.get_or_compute("key", failing.function, 100, on_error="stale")  # there is none
    await cache.put("key", "old", 0.02, stale_ttl=100)
    await until_expired(cache, "key")
    assert await cache.get_or_compute("key", failing.function, 100, on_error="stale") == "old"
    with pytest.raises(KeyError):
        await cache.get_or_compute("key", failing.function, 100)
    right = Computation(fleet, "new").finish()
    assert await cache.get_or_compute("key", right.function, 100, on_error="stale") == "new"


async def test_costly_values_are_computed_early_if_wanted(fleet: Fleet) -> None:
    cache = make_cache(fleet, early=1000.0)
    slow = Computation(fleet, "first")
    computing = start(cache.get_or_compute("key", slow.function, 60))
    await slow.begun()
    await asyncio.sleep(0.2)  # the cost: a thousand times that is more than the TTL
    slow.finish()
    await computing
    refreshed = Computation(fleet, "second").finish()

    async def is_refreshed() -> bool:
        return bool(await cache.get_or_compute("key", refreshed.function, 60) == "second")

    await eventually(is_refreshed)
    never_early = make_cache(fleet)
    unused = Computation(fleet)
    for _ in range(50):
        assert await never_early.get_or_compute("key", unused.function, 60) == "second"
