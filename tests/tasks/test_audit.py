"""The audit: it finds damaged data, and names the task. Also the tests' own search for leaked keys."""

from collections.abc import Callable

import pytest
import redis

from converge_redis import Task
from tests.support.fleet import Fleet, names_of
from tests.support.leaks import leaked_keys
from tests.tasks.support import task_in_state

Names = dict[str, str]
Damage = Callable[[redis.Redis, Names, str], object]

DAMAGE: list[tuple[str, str, str, Damage]] = [
    ("pending", "missing_entry", "not in its lane", lambda r, n, i: r.zrem(n["lane"] + "::", i)),
    ("pending", "wrong_score", "wrong priority", lambda r, n, i: r.zadd(n["lane"] + "::", {i: 3})),
    ("pending", "missing_lane", "lane not listed", lambda r, n, i: r.zrem(n["lanes"], "::")),
    ("pending", "unexpected_entry", "in another lane", lambda r, n, i: r.zadd(n["lane"] + "x::", {i: 0})),
    ("pending", "unexpected_entry", "in leases", lambda r, n, i: r.zadd(n["leases"], {i: 9e15})),
    ("pending", "unexpected_entry", "in claims", lambda r, n, i: r.zadd(n["claims"] + "a", {i: 1})),
    ("pending", "unexpected_entry", "in finished", lambda r, n, i: r.zadd(n["finished"], {i: 9e15})),
    ("pending", "unexpected_entry", "in delayed", lambda r, n, i: r.zadd(n["delayed"], {i: 9e15})),
    ("pending", "missing_spec", "no spec", lambda r, n, i: r.delete(n["spec"])),
    ("pending", "orphan", "no record", lambda r, n, i: r.delete(n["task"])),
    ("delayed", "missing_entry", "not in delayed", lambda r, n, i: r.zrem(n["delayed"], i)),
    ("delayed", "wrong_score", "due at another time", lambda r, n, i: r.zadd(n["delayed"], {i: 9e15})),
    ("delayed", "unexpected_entry", "in its lane", lambda r, n, i: r.zadd(n["lane"] + "::", {i: 0})),
    ("assigned", "missing_entry", "not in leases", lambda r, n, i: r.zrem(n["leases"], i)),
    ("assigned", "missing_entry", "not in claims", lambda r, n, i: r.zrem(n["claims"] + "a", i)),
    ("assigned", "wrong_score", "another lease", lambda r, n, i: r.zadd(n["leases"], {i: 9e15})),
    ("assigned", "wrong_score", "another token", lambda r, n, i: r.zadd(n["claims"] + "a", {i: 1})),
    ("assigned", "unexpected_entry", "still in its lane", lambda r, n, i: r.zadd(n["lane"] + "::", {i: 0})),
    ("assigned", "unexpected_entry", "two holders", lambda r, n, i: r.zadd(n["claims"] + "b", {i: 1})),
    ("running", "missing_entry", "not in leases", lambda r, n, i: r.zrem(n["leases"], i)),
    ("completed", "missing_entry", "not in finished", lambda r, n, i: r.zrem(n["finished"], i)),
    ("completed", "wrong_score", "other retention", lambda r, n, i: r.zadd(n["finished"], {i: 9e15})),
    ("completed", "missing_result", "no result", lambda r, n, i: r.delete(n["result"])),
    ("completed", "unexpected_entry", "still claimed", lambda r, n, i: r.zadd(n["claims"] + "a", {i: 1})),
    ("cancelled", "missing_entry", "not in finished", lambda r, n, i: r.zrem(n["finished"], i)),
    ("failed", "unexpected_entry", "has a deadline", lambda r, n, i: r.zadd(n["deadlines"], {i: 9e15})),
]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize(
    ("state", "kind", "damage"),
    [(state, kind, damage) for state, kind, _, damage in DAMAGE],
    ids=[f"{state}-{description}" for state, _, description, _ in DAMAGE],
)
async def test_damage_is_reported_with_the_id_of_the_task(
    fleet: Fleet, state: str, kind: str, damage: Damage, shards: int
) -> None:
    manager = fleet.manager(shards=shards)
    await manager.submit_many(Task(pool_id="others") for _ in range(5))
    large = "x" * 2000  # stored under a key of its own
    task = await task_in_state(manager, state, large, id="the one", inputs={"large": large})
    assert await manager.audit() == []
    damage(fleet.raw, names_of(fleet.namespaces["test"].keys, task.id), task.id)
    fleet.is_intact = False
    found = {(violation.kind, violation.id) for violation in await manager.audit()}
    assert (kind, task.id) in found
    # The audit changes nothing.
    assert {(violation.kind, violation.id) for violation in await manager.audit()} == found


async def test_deadlines_are_compared_with_the_records(fleet: Fleet) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    task = await task_in_state(manager, "pending", id="t", constraints={"deadline": 4e9})
    names = names_of(fleet.namespaces["test"].keys, task.id)
    fleet.raw.zrem(names["deadlines"], "t")
    assert [(violation.kind, violation.id) for violation in await manager.audit()] == [("missing_entry", "t")]
    fleet.raw.zadd(names["deadlines"], {"t": 1e15})
    assert [(violation.kind, violation.id) for violation in await manager.audit()] == [("wrong_score", "t")]


@pytest.mark.parametrize("state", ["pending", "assigned", "completed"])
async def test_a_wrong_count_is_reported(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    task = await task_in_state(manager, state)
    fleet.raw.hincrby(names_of(fleet.namespaces["test"].keys, task.id)["counts"], state, 1)
    (violation,) = await manager.audit()
    assert (violation.kind, violation.id) == ("wrong_count", "shard 0")
    assert "2 counted, 1 indexed" in violation.detail


async def test_an_empty_lane_in_the_index_is_reported(fleet: Fleet) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    task = await task_in_state(manager, "assigned")
    fleet.raw.zadd(names_of(fleet.namespaces["test"].keys, task.id)["lanes"], {"x::": 0})
    (violation,) = await manager.audit()
    assert (violation.kind, violation.id) == ("empty_lane", "x::")


async def test_a_result_of_an_unfinished_task_is_reported(fleet: Fleet) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    task = await task_in_state(manager, "pending")
    fleet.raw.set(names_of(fleet.namespaces["test"].keys, task.id)["result"], b"\xc0")
    assert [violation.id for violation in await manager.audit()] == [task.id]


async def test_an_unknown_state_is_reported(fleet: Fleet) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    task = await task_in_state(manager, "pending")
    fleet.edit(task.id, state="lost")
    assert task.id in {violation.id for violation in await manager.audit()}


async def test_index_entries_without_a_task_are_reported(fleet: Fleet) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    task = await task_in_state(manager, "pending")
    names = names_of(fleet.namespaces["test"].keys, task.id)
    for index in ("leases", "delayed", "deadlines", "finished"):
        fleet.raw.zadd(names[index], {"ghost": 9e15})
    details = {violation.detail for violation in await manager.audit() if violation.id == "ghost"}
    assert details == {names[index] for index in ("leases", "delayed", "deadlines", "finished")}


async def test_evicted_tasks_hide_no_others(fleet: Fleet) -> None:
    manager = fleet.manager()
    fleet.is_intact = False
    ids = await manager.submit_many(Task() for _ in range(60))
    for task_id in ids[:40]:
        names = names_of(fleet.namespaces["test"].keys, task_id)
        fleet.raw.delete(names["task"], names["spec"])
    assert [task.id for task in await manager.claim_next("x", count=60)] == ids[40:]
    for task_id in ids[40:50]:
        names = names_of(fleet.namespaces["test"].keys, task_id)
        fleet.raw.delete(names["task"], names["spec"])
    assert [task.id for task in await manager.list_claims("x")] == ids[50:]


async def test_a_large_namespace_is_audited_in_several_scripts(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(topic=f"t{number % 30}") for number in range(700))
    claimed = await manager.claim_next("x", count=500)
    assert len(claimed) == 500
    assert await manager.audit() == []
    fleet.is_intact = False
    names = names_of(fleet.namespaces["test"].keys, claimed[333].id)
    fleet.raw.zrem(names["leases"], claimed[333].id)
    assert {violation.id for violation in await manager.audit()} == {claimed[333].id, "shard 0"}


# Leaked keys


@pytest.mark.parametrize(
    "key", ["other", "{test:0}", "{test:0}:", "{test:0}:x", "{test:1}:t:t", "{test}:x", "{test:0}:done:t"]
)
async def test_a_key_without_an_owner_is_found(fleet: Fleet, key: str) -> None:
    manager = fleet.manager()
    await task_in_state(manager, "running", id="t")
    assert leaked_keys(fleet.raw, fleet.namespaces.values()) == []
    fleet.raw.set(key, "x")
    assert leaked_keys(fleet.raw, fleet.namespaces.values()) == [key]
    fleet.raw.delete(key)


@pytest.mark.parametrize("kind", ["spec:", "result:", "lane:", "claims:"])
async def test_a_key_of_a_task_that_is_gone_is_found(fleet: Fleet, kind: str) -> None:
    manager = fleet.manager()
    await task_in_state(manager, "running", id="t")
    key = f"{{test:0}}:{kind}u"
    if kind in {"lane:", "claims:"}:
        fleet.raw.zadd(key, {"t": 1})
    else:
        fleet.raw.set(key, "x")
    assert leaked_keys(fleet.raw, fleet.namespaces.values()) == [key]
    fleet.raw.delete(key)
