"""A record that somebody has overwritten: its own verbs say so, and no other task comes to harm."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from converge_redis import AsyncTaskManager, ConvergeError, StoreReplyError, Task, TaskState
from converge_redis.core.operation import Operation
from converge_redis.tasks import claim as claiming
from converge_redis.tasks import lease as holding
from converge_redis.tasks import settle as settling
from tests.support.fleet import Fleet, names_of
from tests.tasks.test_states import read
from tests.tasks.test_twice import again

DAMAGED = "3"
IDS = [f"{number}" for number in range(6)]
OTHERS = [task_id for task_id in IDS if task_id != DAMAGED]

Harm = Callable[[redis.Redis, str], object]


def a_list(raw: redis.Redis, key: str) -> None:
    raw.delete(key)
    raw.rpush(key, "x")


HARM: dict[str, Harm] = {
    "text": lambda raw, key: raw.set(key, "no record at all"),
    "no bytes": lambda raw, key: raw.set(key, b""),
    "not utf-8": lambda raw, key: raw.set(key, b"\xff\xfe|\x00|\n\x80"),
    "list": a_list,
}


@pytest.fixture(params=HARM)
def harm(request: pytest.FixtureRequest) -> Harm:
    return HARM[request.param]


def damage(fleet: Fleet, harm: Harm) -> None:
    fleet.is_intact = False
    harm(fleet.raw, names_of(fleet.namespaces["test"].keys, DAMAGED)["task"])


async def pending(fleet: Fleet, harm: Harm) -> AsyncTaskManager:
    """Tasks in one lane, one of them damaged; nobody has met it yet."""
    manager = fleet.manager()
    await manager.submit_many(Task(id=task_id, inputs={"id": task_id}) for task_id in IDS)
    damage(fleet, harm)
    return manager


async def held(fleet: Fleet, harm: Harm) -> tuple[AsyncTaskManager, dict[str, int]]:
    """Tasks that agent ``a`` has claimed, one of them damaged since, and their claim tokens."""
    manager = fleet.manager()
    await manager.submit_many(Task(id=task_id, constraints={"claim_ttl_sec": 1000}) for task_id in IDS)
    tokens = {task.id: task.claim_token or 0 for task in await manager.claim_next("a", count=len(IDS))}
    assert tokens.keys() == set(IDS)
    damage(fleet, harm)
    return manager, tokens


@pytest.mark.parametrize("count", [1, 2, len(IDS)])
async def test_claim_next_gives_all_others(fleet: Fleet, harm: Harm, count: int) -> None:
    manager = await pending(fleet, harm)
    found: list[Task] = []
    for _ in range(0, len(IDS), count):
        found += await manager.claim_next("a", count=count)
    assert [task.id for task in found] == OTHERS
    assert [task.inputs for task in found] == [{"id": task_id} for task_id in OTHERS]
    assert await manager.claim_next("a", count=count) == []
    assert [task.id for task in await manager.list_claims("a")] == OTHERS
    assert (await manager.counts())["assigned"] == len(OTHERS)


async def test_a_claim_of_one_task_is_not_hindered(fleet: Fleet, harm: Harm) -> None:
    manager = await pending(fleet, harm)
    for task_id in OTHERS:
        assert await manager.claim("a", task_id) is True
    with pytest.raises(StoreReplyError):
        await manager.claim("a", DAMAGED)


async def test_claim_next_sent_again_tells_of_all_others(fleet: Fleet, harm: Harm) -> None:
    """One is damaged between the call, whose reply was lost, and the same call sent again."""
    manager = fleet.manager()
    await manager.submit_many(Task(id=task_id) for task_id in IDS)
    operation = claiming.claim_next(fleet.namespaces["test"], "a", count=len(IDS))
    assert isinstance(operation, Operation)
    assert [task.id for task in await fleet.run(manager, operation)] == IDS
    damage(fleet, harm)
    assert [task.id for task in await fleet.run(manager, again(operation))] == OTHERS


async def test_reports_that_travel_together(fleet: Fleet, harm: Harm) -> None:
    manager, tokens = await held(fleet, harm)
    space = fleet.namespaces["test"]
    claims = [(task_id, "a", tokens[task_id], settling.encode_result(space, task_id)) for task_id in IDS]
    for _ in range(2):  # twice is once
        outcomes = await fleet.run(manager, settling.report_encoded(space, 0, claims))
        by_id = dict(zip(IDS, outcomes, strict=True))
        error = by_id.pop(DAMAGED)
        assert isinstance(error, StoreReplyError)
        assert repr(DAMAGED) in str(error)
        assert by_id == dict.fromkeys(OTHERS, True)
    for task_id in OTHERS:
        task = await read(manager, task_id)
        assert (task.state, task.result) == (TaskState.COMPLETED, task_id)
    assert (await manager.counts())["completed"] == len(OTHERS)


async def test_a_report_of_the_damaged_one_names_it(fleet: Fleet, harm: Harm) -> None:
    manager, tokens = await held(fleet, harm)
    with pytest.raises(StoreReplyError, match=f"'{DAMAGED}'"):
        await manager.report("a", DAMAGED, 1, claim_token=tokens[DAMAGED])
    assert await manager.report("a", OTHERS[0], 1, claim_token=tokens[OTHERS[0]]) is True


async def test_claims_that_are_extended_together(fleet: Fleet, harm: Harm) -> None:
    manager, tokens = await held(fleet, harm)
    claims = [(task_id, "a", tokens[task_id]) for task_id in IDS]
    outcomes = await fleet.run(manager, holding.extend_claims(fleet.namespaces["test"], 0, claims))
    by_id = dict(zip(IDS, outcomes, strict=True))
    lost = by_id.pop(DAMAGED)
    assert isinstance(lost, ConvergeError)  # there is nothing left to hold: the work is to be dropped
    assert repr(DAMAGED) in str(lost)
    assert all(isinstance(seconds, float) and seconds > 900 for seconds in by_id.values())
    assert await manager.extend_claim("a", DAMAGED) is False
    assert all([await manager.extend_claim("a", task_id) for task_id in OTHERS])


async def test_leases_that_run_out_release_the_others(fleet: Fleet, harm: Harm) -> None:
    manager, _tokens = await held(fleet, harm)
    fleet.raw.zadd(names_of(fleet.namespaces["test"].keys, DAMAGED)["leases"], {DAMAGED: 1})
    for task_id in OTHERS:
        fleet.past(task_id, "lease")
    released = await manager.release_expired_claims()
    assert sorted(released) == OTHERS
    assert [task.id for task in await manager.claim_next("b", count=len(IDS))] == OTHERS


@pytest.mark.parametrize("limit", [None, 5])
async def test_lists_leave_it_out(fleet: Fleet, harm: Harm, limit: int | None) -> None:
    manager = await pending(fleet, harm)
    assert [task.id for task in await manager.list_pending_tasks(limit=limit)] == OTHERS
    assert [task.id for task in await manager.list_pending_tasks_for_agent("a", limit=limit)] == OTHERS


async def test_an_agent_learns_of_its_other_claims(fleet: Fleet, harm: Harm) -> None:
    manager, _tokens = await held(fleet, harm)
    assert [task.id for task in await manager.list_claims("a")] == OTHERS


async def test_reads_of_the_others(fleet: Fleet, harm: Harm) -> None:
    manager = await pending(fleet, harm)
    assert (await manager.counts())["pending"] == len(IDS)
    found = await manager.get_tasks([*OTHERS, "unknown"])
    assert [task and task.id for task in found] == [*OTHERS, None]
    with pytest.raises(StoreReplyError):
        await manager.get_tasks(IDS)
    with pytest.raises(StoreReplyError):
        await manager.get_task(DAMAGED)


async def test_verbs_about_the_damaged_one_raise_and_change_nothing(fleet: Fleet, harm: Harm) -> None:
    manager, _tokens = await held(fleet, harm)
    key = names_of(fleet.namespaces["test"].keys, DAMAGED)["task"]
    before = fleet.raw.dump(key), await manager.counts()
    verbs: dict[str, Callable[[], Any]] = {
        "submit": lambda: manager.submit(Task(id=DAMAGED)),
        "start": lambda: manager.start("a", DAMAGED),
        "release": lambda: manager.release("a", DAMAGED),
        "fail": lambda: manager.fail_task(DAMAGED, "why"),
        "cancel": lambda: manager.cancel_task(DAMAGED),
        "requeue": lambda: manager.requeue_task(DAMAGED),
        "wait": lambda: manager.wait(DAMAGED, 5),
        "explain": lambda: manager.explain_claim("a", DAMAGED),
    }
    for verb in verbs.values():
        with pytest.raises(StoreReplyError):
            await verb()
    assert (fleet.raw.dump(key), await manager.counts()) == before


async def test_waits_for_the_others_go_on(fleet: Fleet, harm: Harm) -> None:
    manager, _tokens = await held(fleet, harm)
    assert await manager.report("a", OTHERS[0], "result") is True
    with pytest.raises(StoreReplyError):
        await manager.wait(DAMAGED, 5)
    ended = await manager.wait(OTHERS[0], 5)
    assert ended is not None
    assert ended.result == "result"


@pytest.mark.parametrize("where", ["in its lane", "claimed", "met by a claim"])
async def test_the_audit_names_it(fleet: Fleet, harm: Harm, where: str) -> None:
    manager = (await held(fleet, harm))[0] if where == "claimed" else await pending(fleet, harm)
    if where == "met by a claim":
        await manager.claim_next("a", count=len(IDS))
    found = await manager.audit()
    assert ("unreadable", DAMAGED) in {(each.kind, each.id) for each in found}
    assert not {each.id for each in found} & set(OTHERS)
