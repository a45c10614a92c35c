"""The key-value store: TTLs, versions, batches, the index of keys."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis import (
    ConfigurationError,
    EmbeddedServer,
    InvalidTypeError,
    InvalidValueError,
    PayloadTooLargeError,
    RedisStore,
    VersionedValue,
)
from converge_redis.core.operation import Operation
from converge_redis.store import values
from tests.support.backends import Backend, eventually
from tests.support.fleet import Fleet, first_operation


async def is_gone(store: Any, key: str) -> bool:
    return await store.get(key) is None


async def test_an_expired_value_is_removed_from_the_index(fleet: Fleet) -> None:
    store = fleet.store()
    await store.put("short", 1, ttl=0.05)
    await store.put("long", 2, ttl=1000)
    await store.put("for ever", 3)
    await eventually(lambda: is_gone(store, "short"))
    assert await store.list() == ["for ever", "long"]
    assert await store.count() == 2
    assert await store.get_many(["short", "long"]) == {"long": 2}
    assert fleet.raw.zcard(fleet.namespaces["test"].keys.value_names()["values"]) == 2


async def test_writes_sweep_expired_values(fleet: Fleet) -> None:
    store = fleet.store()
    keys = [f"k{number}" for number in range(25)]
    await store.put_many(dict.fromkeys(keys, 1), ttl=0.01)

    async def are_gone() -> bool:
        return await store.get_many(keys) == {}

    await eventually(are_gone)
    index = fleet.namespaces["test"].keys.value_names()["values"]
    for _ in range(3):
        await store.put("other", 1)
    assert fleet.raw.zcard(index) == 1


async def test_a_new_value_does_not_inherit_the_ttl_of_the_old_one(fleet: Fleet) -> None:
    store = fleet.store()
    await store.put("key", 1, ttl=0.05)
    await store.put("key", 2)
    await asyncio.sleep(0.1)
    assert await store.get("key") == 2
    assert await store.list() == ["key"]


async def test_batches_of_reads_writes_and_deletions(fleet: Fleet) -> None:
    store = fleet.store()
    many = {f"key {number}": {"n": number} for number in range(1234)}
    await store.put_many(many)
    assert await store.get_many([*many, "unknown", "key 1"]) == many
    assert await store.count("key ") == 1234
    assert await store.list("key 12") == sorted(key for key in many if key.startswith("key 12"))
    assert await store.delete_many([*many, "unknown", "key 1"]) == 1234
    assert await store.list() == []
    await store.put_many({})
    assert await store.get_many([]) == {}
    assert await store.delete_many([]) == 0


async def test_large_values_are_written_and_read_in_several_scripts(fleet: Fleet) -> None:
    store = fleet.store()
    many = {f"key {number}": "x" * 300_000 for number in range(8)}
    await store.put_many(many)
    assert await store.get_many(many) == many


async def test_clear_deletes_all_keys_with_a_prefix(fleet: Fleet) -> None:
    store = fleet.store()
    await store.put_many({f"a:{number}": number for number in range(1100)})
    await store.put_many({"a": 1, "b": 2, "a;": 3, "ä:": 4})
    assert await store.clear("a:") == 1100
    assert await store.list() == ["a", "a;", "b", "ä:"]
    assert await store.clear() == 4
    assert await store.count() == 0


async def test_compare_and_set_needs_the_current_version(fleet: Fleet) -> None:
    store = fleet.store()
    assert await store.get_versioned("key") is None
    first = await store.compare_and_set("key", "a", 0)
    assert first is not None
    assert await store.get_versioned("key") == VersionedValue("a", first)
    assert await store.compare_and_set("key", "b", 0) is None
    second = await store.compare_and_set("key", "b", first)
    assert second is not None
    assert second > first
    assert await store.compare_and_set("key", "c", first) is None
    await store.delete("key")
    assert await store.compare_and_set("key", "c", second) is None
    third = await store.compare_and_set("key", "c", 0)
    assert third is not None
    assert third > second  # versions are not reused after a deletion
    await store.put("key", "d")
    assert await store.compare_and_set("key", "e", third) is None
    assert await store.get("key") == "d"


async def test_concurrent_compare_and_set_loses_no_increment(fleet: Fleet) -> None:
    stores = [fleet.store() for _ in range(4)]

    async def count(store: Any) -> None:
        for _ in range(15):
            while True:
                found = await store.get_versioned("counter")
                value, version = (found.value, found.version) if found else (0, 0)
                if await store.compare_and_set("counter", value + 1, version) is not None:
                    break

    await asyncio.gather(*(count(store) for store in stores))
    assert await stores[0].get("counter") == 60


async def test_one_of_several_concurrent_put_if_absent_stores(fleet: Fleet) -> None:
    stores = [fleet.store() for _ in range(5)]
    stored = await asyncio.gather(
        *(store.put_if_absent("key", number) for number, store in enumerate(stores))
    )
    assert sum(stored) == 1
    assert await stores[0].get("key") == stored.index(True)
    assert await stores[0].put_if_absent("short", 1, ttl=0.05) is True
    await eventually(lambda: is_gone(stores[0], "short"))
    assert await stores[0].put_if_absent("short", 2) is True


async def test_compare_and_set_with_a_lost_reply_takes_effect_once(fleet: Fleet) -> None:
    manager, store = fleet.manager(), fleet.store()
    operation: Operation[Any] = first_operation(
        values.compare_and_set(fleet.namespaces["test"], "key", "mine", 0)
    )
    version = await fleet.run(manager, operation)
    other = await store.compare_and_set("key", "theirs", version)
    assert await fleet.run(manager, operation) == version
    assert await store.get("key") == "theirs"
    await store.delete("key")
    assert other is not None
    assert await fleet.run(manager, operation) is not None  # a deletion removes the ids of earlier calls


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda s: s.put("", 1), InvalidValueError, "key must not be empty"),
        (lambda s: s.put(5, 1), InvalidTypeError, "key must be a string"),
        (lambda s: s.put("k" * 513, 1), InvalidValueError, "key takes 513 bytes"),
        (lambda s: s.put("key", object()), InvalidTypeError, "value has the type builtins.object"),
        (lambda s: s.put("key", "x" * 200), PayloadTooLargeError, "payload_limit is 100"),
        (lambda s: s.put("key", 1, ttl=0), InvalidValueError, "ttl must be above 0"),
        (lambda s: s.put("key", 1, ttl=float("nan")), InvalidValueError, "ttl must be"),
        (lambda s: s.put("key", 1, ttl="soon"), InvalidTypeError, "ttl must be a number"),
        (lambda s: s.put_many([("key", 2)]), InvalidTypeError, "values must be a mapping"),
        (lambda s: s.put_many({"a": 1, "b": object()}), InvalidTypeError, "builtins.object"),
        (lambda s: s.put_many({"a": 1, 5: 2}), InvalidTypeError, "key must be a string"),
        (lambda s: s.get_many("key"), InvalidTypeError, "keys must be a list"),
        (lambda s: s.delete_many(["key", ""]), InvalidValueError, "keys[1] must not be empty"),
        (lambda s: s.compare_and_set("key", 1, -1), InvalidValueError, "version must be from 0"),
        (lambda s: s.compare_and_set("key", 1, 1.0), InvalidTypeError, "version must be an integer"),
        (lambda s: s.list(None), InvalidTypeError, "prefix must be a string"),
        (lambda s: s.clear(7), InvalidTypeError, "prefix must be a string"),
        (lambda s: s.count("\ud800"), InvalidValueError, "not valid Unicode"),
    ],
)
async def test_a_refused_call_changes_nothing(
    fleet: Fleet, call: Any, error: type[Exception], message: str
) -> None:
    store = fleet.store(payload_limit=100)
    await store.put("key", "value")
    with pytest.raises(error) as raised:
        await call(store)
    assert message in str(raised.value)
    assert await store.list() == ["key"]
    assert await store.get("key") == "value"


def test_invalid_store_options_are_refused(real: Backend) -> None:
    with pytest.raises(ConfigurationError, match="neither"):
        real.store(types=[int])
    with pytest.raises(ConfigurationError, match="list of classes"):
        real.store(types=5)
    with pytest.raises(InvalidValueError, match="compress_above"):
        real.store(compress_above=-1)
    with pytest.raises(InvalidTypeError, match="near_cache must be a NearCache"):
        real.store(near_cache=True)


numbers = st.integers(-(2**63), 2**63)
keys = st.text("ab:é\x00\U0010ffff", min_size=1, max_size=4)
operations = st.one_of(
    st.tuples(st.just("put"), keys, numbers),
    st.tuples(st.just("delete"), keys),
    st.tuples(st.just("put_if_absent"), keys, numbers),
    st.tuples(st.just("put_many"), st.dictionaries(keys, numbers, max_size=4)),
    st.tuples(st.just("delete_many"), st.lists(keys, max_size=4)),
    st.tuples(st.just("clear"), st.text("ab:é", max_size=2)),
    st.tuples(st.just("list"), st.text("ab:é", max_size=2)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(operations, max_size=25))
def test_any_sequence_of_operations_has_the_results_of_a_dict(
    shared_store: RedisStore, sequence: list[tuple[Any, ...]]
) -> None:
    store, model = shared_store, dict[str, int]()
    store.clear()
    for name, *arguments in sequence:
        result = getattr(store, name)(*arguments)
        match name, arguments:
            case "put", [key, value]:
                model[key] = value
            case "put_if_absent", [key, value]:
                assert result == (key not in model)
                model.setdefault(key, value)
            case "put_many", [batch]:
                model |= batch
            case "delete", [key]:
                model.pop(key, None)
            case "delete_many", [batch]:
                assert result == len(model.keys() & set(batch))
                model = {key: value for key, value in model.items() if key not in batch}
            case "clear", [prefix]:
                assert result == sum(key.startswith(prefix) for key in model)
                model = {key: value for key, value in model.items() if not key.startswith(prefix)}
            case "list", [prefix]:
                expected = sorted((key for key in model if key.startswith(prefix)), key=str.encode)
                assert result == expected
                assert store.count(prefix) == len(expected)
    assert store.get_many(model) == model
    assert store.list() == sorted(model, key=str.encode)


@pytest.fixture(scope="module")
def shared_store(server: EmbeddedServer) -> Iterator[RedisStore]:
    with RedisStore.from_url(server.url, "model of values") as store:
        yield store
        store.clear()
