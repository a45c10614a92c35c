"""Retention of finished tasks: for some time, and up to some number."""

import asyncio
from typing import Any

import pytest

from converge_redis import (
    InvalidTypeError,
    InvalidValueError,
    RedisStore,
    Task,
    TaskState,
)
from converge_redis.core.codec import encode
from converge_redis.tasks import settle
from tests.support.backends import Backend
from tests.support.fleet import Fleet, names_of
from tests.tasks.support import (
    LONG_WAIT,
    nonzero_counts,
    read_task,
    subscribe,
    task_in_state,
    until_watched,
    within_timeout,
)

# For some time


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
@pytest.mark.parametrize("method", ["claim", "claim_next", "counts", "list"])
async def test_other_calls_delete_an_expired_task(fleet: Fleet, state: str, method: str) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state, constraints={"retention_sec": 1000})
    other = await manager.submit(Task())
    fleet.past(task, "retention")
    if method == "claim":
        assert await manager.claim("a", other)
    elif method == "claim_next":
        assert await manager.claim_next("a")
    elif method == "counts":
        assert state not in await nonzero_counts(manager)
    else:
        assert await manager.list_pending_tasks()
    assert await manager.get_task(task.id) is None
    assert state not in await nonzero_counts(manager)
    assert not [key for key in fleet.raw.keys("*") if task.id.encode() in key]


async def test_the_retention_is_that_of_the_task_or_store_or_the_default(fleet: Fleet) -> None:
    rows: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({}, {}, 86400),
        ({"retention_sec": 500}, {}, 500),
        ({"retention_sec": 500}, {"retention_sec": 700}, 700),
        ({"retention_sec": 500}, {"retention_sec": 86400}, 86400),
    ]
    for options, constraints, seconds in rows:
        manager = fleet.manager(**options)
        task = await task_in_state(manager, "failed", constraints=constraints)
        score = fleet.raw.zscore(names_of(fleet.namespaces["test"].keys, task.id)["finished"], task.id)
        assert task.finished_at is not None
        assert score is not None
        assert float(score) / 1e6 == pytest.approx(task.finished_at + seconds, abs=0.001)


async def test_without_retention_a_finished_task_is_deleted_at_once(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={"retention_sec": 0}))
    await manager.cancel_task(task_id)
    assert await nonzero_counts(manager) == {}
    assert await manager.get_task(task_id) is None


async def test_an_id_can_be_used_again_after_the_retention(fleet: Fleet) -> None:
    manager = fleet.manager()
    await task_in_state(manager, "completed", id="again", constraints={"retention_sec": 0})
    await manager.counts()
    await manager.submit(Task(id="again", objective="another"))
    task = await read_task(manager, "again")
    assert (task.state, task.result, task.attempts) == (TaskState.PENDING, None, 0)


async def test_bounded_sweeps_delete_all_expired_tasks(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task(constraints={"retention_sec": 0}) for _ in range(100))
    for task_id in ids:
        await manager.cancel_task(task_id)
    for _ in range(10):
        await manager.claim_next("a")
    assert await nonzero_counts(manager) == {}
    assert {key for key in fleet.raw.keys("*") if b":t:" in key} == set()


# Up to some number


async def finish(fleet: Fleet, number: int, **options: Any) -> list[str]:
    """Submit, claim and report tasks, one after the other; return their ids."""
    manager = fleet.manager(**options)
    ids = []
    for _ in range(number):
        ids.append(await manager.submit(Task()))
        (task,) = await manager.claim_next("a")
        assert await manager.report("a", task.id, "result", claim_token=task.claim_token)
    return ids


async def test_the_oldest_finished_tasks_are_deleted_first(fleet: Fleet) -> None:
    manager = fleet.manager(max_finished=3)
    ids = await finish(fleet, 8, max_finished=3)
    found = await manager.get_tasks(ids)
    assert found[:5] == [None] * 5
    assert [task and task.result for task in found[5:]] == ["result"] * 3
    assert (await manager.counts())["completed"] == 3
    for task_id in ids[:5]:
        names = names_of(fleet.namespaces["test"].keys, task_id)
        assert not fleet.raw.exists(names["task"], names["spec"], names["result"])


async def test_a_limit_of_zero_keeps_no_finished_task(fleet: Fleet) -> None:
    ids = await finish(fleet, 3, max_finished=0)
    assert await fleet.manager().get_tasks(ids) == [None] * 3


async def test_failed_and_cancelled_tasks_count_too(fleet: Fleet) -> None:
    manager = fleet.manager(max_finished=2)
    ids = []
    for number in range(6):
        ids.append(await manager.submit(Task()))
        if number % 2:
            assert await manager.fail_task(ids[-1], "reason")
        else:
            assert await manager.cancel_task(ids[-1])
    assert [task is not None for task in await manager.get_tasks(ids)] == [False] * 4 + [True] * 2


async def test_a_waiter_gets_the_result_before_the_task_is_deleted(fleet: Fleet) -> None:
    manager, other = fleet.manager(max_finished=0), fleet.manager(max_finished=0)
    await subscribe(fleet, manager)  # the task is gone when a listener that subscribes later reads it
    task_id = await manager.submit(Task())
    waiting = asyncio.create_task(manager.wait_until_done(task_id, LONG_WAIT))
    await until_watched(fleet, task_id)
    (task,) = await other.claim_next("a")
    await other.report("a", task.id, "result", claim_token=task.claim_token)
    done = await within_timeout(waiting)
    assert done is not None
    assert done.result == "result"


@pytest.mark.parametrize("large", ["objective", "result"])
async def test_waiters_get_results_of_one_batch_before_the_tasks_are_deleted(
    fleet: Fleet, large: str
) -> None:
    """The tasks are reported together, and a part of each has a key of its own."""
    manager, other = fleet.manager(max_finished=1), fleet.manager(max_finished=1)
    text = "x" * 2000
    ids = [f"{number}" for number in range(4)]
    objective = text if large == "objective" else ""
    await manager.submit_many(Task(id=task_id, objective=objective) for task_id in ids)
    claimed = await manager.claim_next("a", count=4)
    await subscribe(fleet, other)
    waiting = [asyncio.create_task(other.wait_until_done(task_id, LONG_WAIT)) for task_id in ids]
    for task_id in ids:
        await until_watched(fleet, task_id)
    result = encode("result", text if large == "result" else "ok", 10**6)
    claims = [(task.id, "a", task.claim_token or 0, result) for task in claimed]
    report = settle.report_encoded(fleet.namespaces["test"], 0, claims)
    assert await fleet.run(manager, report) == [True] * 4
    for task in await within_timeout(asyncio.gather(*waiting)):
        assert task is not None
        assert text in (task.objective, task.result)
    assert (await manager.counts())["completed"] == 1


async def test_a_later_limit_deletes_many_tasks_in_small_parts(fleet: Fleet) -> None:
    """The limit came later, or is smaller in one process: each finished task deletes a bounded number."""
    ids = await finish(fleet, 40)
    await finish(fleet, 1, max_finished=5)
    left = sum(task is not None for task in await fleet.manager().get_tasks(ids))
    assert 5 <= left < 41
    await finish(fleet, 40, max_finished=5)
    assert (await fleet.manager().counts())["completed"] == 5


@pytest.mark.parametrize(
    ("limit", "error"),
    [(-1, InvalidValueError), (1.5, InvalidTypeError), ("3", InvalidTypeError)],
)
def test_a_malformed_limit_is_refused(real: Backend, limit: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_finished"):
        RedisStore.from_url(str(real.url), max_finished=limit)  # type: ignore[arg-type]
