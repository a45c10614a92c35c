"""Key names: one tag a shard, and no text that forges another key."""

import itertools
import string

from hypothesis import given
from hypothesis import strategies as st

from converge_redis.core.keys import Keys, encode_part, lane, sorted_encoded

wild = st.text(alphabet=st.sampled_from("ab:{},%|*\n\0 é☃-.~_") | st.characters(codec="utf-8"), min_size=1)


def every(keys: Keys) -> set[str]:
    """All names and prefixes; delegations and pools share one."""
    return {*keys.shard_names(0).values(), *keys.pools, *keys.delegation_names().values(), *keys.values}


def prefixes(keys: Keys) -> list[str]:
    return [name for name in every(keys) if name.endswith(":")]


def fixed(keys: Keys) -> list[str]:
    return [name for name in every(keys) if not name.endswith(":")]


@given(wild, wild, wild)
def test_no_id_forges_another_key(namespace: str, first: str, second: str) -> None:
    keys = Keys(namespace, 1)
    names = [prefix + part for prefix in prefixes(keys) for part in {first, second}]
    assert len({*names, *fixed(keys), keys.layout}) == len(names) + len(fixed(keys)) + 1


@given(wild, wild)
def test_namespaces_share_nothing(first: str, second: str) -> None:
    if first == second:
        return
    a, b = Keys(first, 2), Keys(second, 2)
    assert not (
        {a.layout, *every(a), *a.shard_names(1).values()} & {b.layout, *every(b), *b.shard_names(1).values()}
    )
    assert not any(
        one.startswith(other)
        for one in a.shard_names(0).values()
        for other in b.shard_names(0).values()
        if other.endswith(":")
    )


@given(wild, wild)
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


def test_shards_are_those_of_redis_cluster() -> None:
    # CRC16 of "123456789" is 0x31C3 in the Redis Cluster specification.
    assert Keys("n", 16384).shard_of("123456789") == 0x31C3 % 16384


parts = st.none() | wild
capability_sets = st.frozensets(wild, max_size=3)


@given(parts, parts, capability_sets, parts, parts, capability_sets)
def test_lanes_are_as_different_as_what_they_stand_for(
    pool: str | None,
    topic: str | None,
    able: frozenset[str],
    pool2: str | None,
    topic2: str | None,
    able2: frozenset[str],
) -> None:
    same = (pool, topic, able) == (pool2, topic2, able2)
    assert (lane(pool, topic, able) == lane(pool2, topic2, able2)) is same


@given(parts, parts, capability_sets)
def test_lanes_are_plain_text(pool: str | None, topic: str | None, able: frozenset[str]) -> None:
    name = lane(pool, topic, [*able, *able])
    assert set(name) <= set(string.ascii_letters + string.digits + "-._~%:,")
    assert name.count(":") == 2
    assert name.count(",") == len(able)


@given(st.lists(wild, max_size=8))
def test_the_order_of_parts_is_that_of_names(texts: list[str]) -> None:
    ordered = sorted_encoded(texts, ":")
    assert len(ordered) == len(set(texts))
    assert all((a + ":").encode() < (b + ":").encode() for a, b in itertools.pairwise(ordered))
