"""Damaged records: calls for the task raise an error, and all other tasks work."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from converge_redis import AsyncTaskManager, ConvergeError, StoreReplyError, Task, TaskState
from converge_redis.core.operation import Operation
from converge_redis.tasks import claim, lease, settle
from tests.support.fleet import Fleet, names_of
from tests.tasks.support import LONG_WAIT, read_task, resent, within_timeout

DAMAGED = "3"
IDS = [f"{number}" for number in range(6)]
OTHERS = [task_id for task_id in IDS if task_id != DAMAGED]

Damage = Callable[[redis.Redis, str], object]


def overwrite_with_list(raw: redis.Redis, key: str) -> None:
    raw.delete(key)
    raw.rpush(key, "x")


DAMAGES: dict[str, Damage] = {
    "text": lambda raw, key: raw.set(key, "not a record"),
    "empty": lambda raw, key: raw.set(key, b""),
    "not utf-8": lambda raw, key: raw.set(key, b"\xff\xfe|\x00|\n\x80"),
    "list": overwrite_with_list,
}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest) -> Damage:
    return DAMAGES[request.param]


def apply(damage: Damage, fleet: Fleet) -> None:
    fleet.is_intact = False
    damage(fleet.raw, names_of(fleet.namespaces["test"].keys, DAMAGED)["task"])


async def pending_tasks(fleet: Fleet, damage: Damage) -> AsyncTaskManager:
    """Submit tasks of one lane, and damage one of them."""
    manager = fleet.manager()
    await manager.submit_many(Task(id=task_id, inputs={"id": task_id}) for task_id in IDS)
    apply(damage, fleet)
    return manager


async def claimed_tasks(fleet: Fleet, damage: Damage) -> tuple[AsyncTaskManager, dict[str, int]]:
    """Submit tasks, claim them as agent ``a``, and damage one of them; return their claim tokens too."""
    manager = fleet.manager()
    await manager.submit_many(Task(id=task_id, constraints={"claim_ttl_sec": 1000}) for task_id in IDS)
    tokens = {task.id: task.claim_token or 0 for task in await manager.claim_next("a", count=len(IDS))}
    assert tokens.keys() == set(IDS)
    apply(damage, fleet)
    return manager, tokens


@pytest.mark.parametrize("count", [1, 2, len(IDS)])
async def test_claim_next_claims_all_others(fleet: Fleet, damage: Damage, count: int) -> None:
    manager = await pending_tasks(fleet, damage)
    found: list[Task] = []
    for _ in range(0, len(IDS), count):
        found += await manager.claim_next("a", count=count)
    assert [task.id for task in found] == OTHERS
    assert [task.inputs for task in found] == [{"id": task_id} for task_id in OTHERS]
    assert await manager.claim_next("a", count=count) == []
    assert [task.id for task in await manager.list_claims("a")] == OTHERS
    assert (await manager.counts())["assigned"] == len(OTHERS)


async def test_each_other_task_can_be_claimed_by_its_id(fleet: Fleet, damage: Damage) -> None:
    manager = await pending_tasks(fleet, damage)
    for task_id in OTHERS:
        assert await manager.claim("a", task_id) is True
    with pytest.raises(StoreReplyError):
        await manager.claim("a", DAMAGED)


async def test_a_repeated_claim_next_returns_all_others(fleet: Fleet, damage: Damage) -> None:
    """The record is damaged between the call, whose reply was lost, and its repetition."""
    manager = fleet.manager()
    await manager.submit_many(Task(id=task_id) for task_id in IDS)
    operation = claim.claim_next(fleet.namespaces["test"], "a", count=len(IDS))
    assert isinstance(operation, Operation)
    assert [task.id for task in await fleet.run(manager, operation)] == IDS
    apply(damage, fleet)
    assert [task.id for task in await fleet.run(manager, resent(operation))] == OTHERS


async def test_reports_of_one_batch_are_accepted_for_all_others(fleet: Fleet, damage: Damage) -> None:
    manager, tokens = await claimed_tasks(fleet, damage)
    namespace = fleet.namespaces["test"]
    claims = [(task_id, "a", tokens[task_id], settle.encode_result(namespace, task_id)) for task_id in IDS]
    for _ in range(2):  # the second time as the client repeats it
        outcomes = await fleet.run(manager, settle.report_encoded(namespace, 0, claims))
        by_id = dict(zip(IDS, outcomes, strict=True))
        error = by_id.pop(DAMAGED)
        assert isinstance(error, StoreReplyError)
        assert repr(DAMAGED) in str(error)
        assert by_id == dict.fromkeys(OTHERS, True)
    for task_id in OTHERS:
        task = await read_task(manager, task_id)
        assert (task.state, task.result) == (TaskState.COMPLETED, task_id)
    assert (await manager.counts())["completed"] == len(OTHERS)


async def test_the_error_of_a_report_names_the_task(fleet: Fleet, damage: Damage) -> None:
    manager, tokens = await claimed_tasks(fleet, damage)
    with pytest.raises(StoreReplyError, match=f"'{DAMAGED}'"):
        await manager.report("a", DAMAGED, 1, claim_token=tokens[DAMAGED])
    assert await manager.report("a", OTHERS[0], 1, claim_token=tokens[OTHERS[0]]) is True


async def test_claims_of_one_batch_are_extended_for_all_others(fleet: Fleet, damage: Damage) -> None:
    manager, tokens = await claimed_tasks(fleet, damage)
    claims = [(task_id, "a", tokens[task_id]) for task_id in IDS]
    outcomes = await fleet.run(manager, lease.extend_claims(fleet.namespaces["test"], 0, claims))
    by_id = dict(zip(IDS, outcomes, strict=True))
    lost = by_id.pop(DAMAGED)
    assert isinstance(lost, ConvergeError)  # the claim is lost: the agent must drop the work
    assert repr(DAMAGED) in str(lost)
    assert all(isinstance(seconds, float) and seconds > 900 for seconds in by_id.values())
    assert await manager.extend_claim("a", DAMAGED) is False
    assert all([await manager.extend_claim("a", task_id) for task_id in OTHERS])


async def test_expired_leases_release_all_others(fleet: Fleet, damage: Damage) -> None:
    manager, _tokens = await claimed_tasks(fleet, damage)
    fleet.raw.zadd(names_of(fleet.namespaces["test"].keys, DAMAGED)["leases"], {DAMAGED: 1})
    for task_id in OTHERS:
        fleet.past(task_id, "lease")
    released = await manager.release_expired_claims()
    assert sorted(released) == OTHERS
    assert [task.id for task in await manager.claim_next("b", count=len(IDS))] == OTHERS


@pytest.mark.parametrize("limit", [None, 5])
async def test_lists_contain_all_others(fleet: Fleet, damage: Damage, limit: int | None) -> None:
    manager = await pending_tasks(fleet, damage)
    assert [task.id for task in await manager.list_pending_tasks(limit=limit)] == OTHERS
    assert [task.id for task in await manager.list_pending_tasks_for_agent("a", limit=limit)] == OTHERS


async def test_list_claims_returns_all_others(fleet: Fleet, damage: Damage) -> None:
    manager, _tokens = await claimed_tasks(fleet, damage)
    assert [task.id for task in await manager.list_claims("a")] == OTHERS


async def test_all_others_can_be_read(fleet: Fleet, damage: Damage) -> None:
    manager = await pending_tasks(fleet, damage)
    assert (await manager.counts())["pending"] == len(IDS)
    found = await manager.get_tasks([*OTHERS, "unknown"])
    assert [task and task.id for task in found] == [*OTHERS, None]
    with pytest.raises(StoreReplyError):
        await manager.get_tasks(IDS)
    with pytest.raises(StoreReplyError):
        await manager.get_task(DAMAGED)


async def test_calls_for_the_task_raise_and_change_nothing(fleet: Fleet, damage: Damage) -> None:
    manager, _tokens = await claimed_tasks(fleet, damage)
    key = names_of(fleet.namespaces["test"].keys, DAMAGED)["task"]
    before = fleet.raw.dump(key), await manager.counts()
    calls: dict[str, Callable[[], Any]] = {
        "submit": lambda: manager.submit(Task(id=DAMAGED)),
        "start": lambda: manager.start("a", DAMAGED),
        "release": lambda: manager.release("a", DAMAGED),
        "fail": lambda: manager.fail_task(DAMAGED, "why"),
        "cancel": lambda: manager.cancel_task(DAMAGED),
        "requeue": lambda: manager.requeue_task(DAMAGED),
        "wait": lambda: manager.wait(DAMAGED, LONG_WAIT),
        "explain": lambda: manager.explain_claim("a", DAMAGED),
    }
    for call in calls.values():
        with pytest.raises(StoreReplyError):
            await within_timeout(call())
    assert (fleet.raw.dump(key), await manager.counts()) == before


async def test_all_others_can_be_waited_for(fleet: Fleet, damage: Damage) -> None:
    manager, _tokens = await claimed_tasks(fleet, damage)
    assert await manager.report("a", OTHERS[0], "result") is True
    with pytest.raises(StoreReplyError):
        await within_timeout(manager.wait(DAMAGED, LONG_WAIT))
    ended = await within_timeout(manager.wait(OTHERS[0], LONG_WAIT))
    assert ended is not None
    assert ended.result == "result"


@pytest.mark.parametrize("when", ["pending", "claimed", "after a claim script"])
async def test_the_audit_names_only_the_task(fleet: Fleet, damage: Damage, when: str) -> None:
    manager = (
        (await claimed_tasks(fleet, damage))[0] if when == "claimed" else await pending_tasks(fleet, damage)
    )
    if when == "after a claim script":
        await manager.claim_next("a", count=len(IDS))
    found = await manager.audit()
    assert ("unreadable", DAMAGED) in {(violation.kind, violation.id) for violation in found}
    assert not {violation.id for violation in found} & set(OTHERS)
