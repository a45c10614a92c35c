"""Key names: one hash tag per shard; ids cannot forge other keys."""

import itertools
import string

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis.core.keys import Keys, encode_part, lane, sorted_encoded

unlimited = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # on a busy machine

texts = st.text(alphabet=st.sampled_from("ab:{},%|*\n\0 é☃-.~_") | st.characters(codec="utf-8"), min_size=1)


def all_names(keys: Keys) -> set[str]:
    """Return all key names and prefixes; delegations and pools share one."""
    return {*keys.shard_names(0).values(), *keys.pools, *keys.delegation_names().values(), *keys.values}


def prefixes_of(keys: Keys) -> list[str]:
    return [name for name in all_names(keys) if name.endswith(":")]


def complete_names_of(keys: Keys) -> list[str]:
    return [name for name in all_names(keys) if not name.endswith(":")]


@unlimited
@given(texts, texts, texts)
def test_no_id_forges_another_key(namespace: str, first: str, second: str) -> None:
    keys = Keys(namespace, 1)
    names = [prefix + part for prefix in prefixes_of(keys) for part in {first, second}]
    complete = complete_names_of(keys)
    assert len({*names, *complete, keys.layout}) == len(names) + len(complete) + 1


@unlimited
@given(texts, texts)
def test_namespaces_share_no_key(first: str, second: str) -> None:
    if first == second:
        return
    a, b = Keys(first, 2), Keys(second, 2)
    assert not (
        {a.layout, *all_names(a), *a.shard_names(1).values()}
        & {b.layout, *all_names(b), *b.shard_names(1).values()}
    )
    assert not any(
        name.startswith(prefix)
        for name in a.shard_names(0).values()
        for prefix in b.shard_names(0).values()
        if prefix.endswith(":")
    )


@unlimited
@given(texts, texts)
def test_all_keys_of_a_shard_have_one_hash_tag(namespace: str, task_id: str) -> None:
    keys = Keys(namespace, 7)
    shard = keys.shard_of(task_id)
    assert 0 <= shard < 7
    tags = {name[name.index("{") + 1 : name.index("}")] for name in keys.shard_names(shard).values()}
    assert tags == {f"{encode_part(namespace)}:{shard}"}
    (base,) = keys.shard_with(task_id)
    assert keys.shard(shard) == (base,)
    assert all(name.startswith(base) for name in keys.shard_names(shard).values())
    assert keys.channel(shard, "x").startswith(base)


def test_shards_are_assigned_by_the_hash_of_redis_cluster() -> None:
    # CRC16 of "123456789" is 0x31C3 in the Redis Cluster specification.
    assert Keys("n", 16384).shard_of("123456789") == 0x31C3 % 16384


names = st.none() | texts
capability_sets = st.frozensets(texts, max_size=3)


@unlimited
@given(names, names, capability_sets, names, names, capability_sets)
def test_lanes_are_equal_only_for_equal_pools_topics_and_capabilities(
    pool: str | None,
    topic: str | None,
    capabilities: frozenset[str],
    pool2: str | None,
    topic2: str | None,
    capabilities2: frozenset[str],
) -> None:
    are_equal = (pool, topic, capabilities) == (pool2, topic2, capabilities2)
    assert (lane(pool, topic, capabilities) == lane(pool2, topic2, capabilities2)) is are_equal


@unlimited
@given(names, names, capability_sets)
def test_lane_names_are_encoded(pool: str | None, topic: str | None, capabilities: frozenset[str]) -> None:
    name = lane(pool, topic, [*capabilities, *capabilities])
    assert set(name) <= set(string.ascii_letters + string.digits + "-._~%:,")
    assert name.count(":") == 2
    assert name.count(",") == len(capabilities)


@unlimited
@given(st.lists(texts, max_size=8))
def test_sorted_encoded_parts_are_in_the_order_of_key_names(parts: list[str]) -> None:
    ordered = sorted_encoded(parts, ":")
    assert len(ordered) == len(set(parts))
    assert all((a + ":").encode() < (b + ":").encode() for a, b in itertools.pairwise(ordered))
