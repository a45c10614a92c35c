"""Deadlines: a task that has not ended by its deadline fails.

The tests move stored times into the past, and do not wait.
"""

import datetime
import time
from typing import Any

import pytest

from converge_redis import NotAuthorizedError, Task, TaskState
from tests.support.fleet import Fleet
from tests.tasks.support import read_task, task_in_state


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
async def test_a_task_fails_at_its_deadline(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state, constraints={"deadline": time.time() + 1000})
    fleet.past(before, "deadline")
    task = await read_task(manager, before.id)
    assert (task.state, task.result["reason"]) == (TaskState.FAILED, "deadline")
    assert await manager.requeue_task(task.id) is False
    assert await manager.claim("b", task.id) is False
    if state in {"assigned", "running"}:
        with pytest.raises(NotAuthorizedError):
            await manager.report("a", task.id, "late")
        assert await manager.extend_claim("a", task.id) is False


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
async def test_a_deadline_does_not_change_a_finished_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state, constraints={"deadline": time.time() + 1000})
    assert task.state == state
    fleet.past(task, "deadline")
    await manager.claim_next("b")
    assert await read_task(manager, task.id) == task


@pytest.mark.parametrize(
    "deadline",
    [
        1,
        0,
        1.5,
        "2001-01-01T00:00:00Z",
        "2001-01-01T02:00:00+02:00",
        datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC),
    ],
)
async def test_a_deadline_may_be_a_number_a_string_or_a_datetime(fleet: Fleet, deadline: Any) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={"deadline": deadline}))
    assert await manager.claim_next("a") == []
    assert (await read_task(manager, task_id)).state is TaskState.FAILED


@pytest.mark.parametrize("deadline", [4e9, "2200-01-01T00:00:00Z"])
async def test_a_requeued_task_keeps_its_deadline(fleet: Fleet, deadline: Any) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "failed", constraints={"deadline": deadline})
    assert await manager.requeue_task(task.id) is True
    fleet.past(task, "deadline")
    assert await manager.claim_next("a") == []
    assert (await read_task(manager, task.id)).result["reason"] == "deadline"


async def test_many_passed_deadlines_hide_no_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    doomed = await manager.submit_many(
        Task(priority=1, constraints={"deadline": time.time() + 1000}) for _ in range(60)
    )
    good = await manager.submit(Task())
    for task_id in doomed:
        fleet.past(task_id, "deadline")
    assert [task.id for task in await manager.claim_next("a")] == [good]
