"""Submitting: submit and submit_many store tasks, delayed or not, and refuse another task under a used id."""

from typing import Any

import pytest

from converge_redis import (
    Task,
    TaskExistsError,
    TaskState,
)
from tests.support.fleet import Fleet
from tests.tasks.support import STATES, nonzero_counts, read_task, task_in_state


async def test_submit_stores_every_field(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = Task(
        id="an id",
        objective="do it",
        inputs={"a": 1, "nested": {"b": [None, True, 1.5, b"bytes", (1, 2), {3}]}},
        outputs={"c": "d"},
        constraints={"claim_ttl_sec": 60, "free": ["x"]},
        evaluator={"kind": "exact"},
        pool_id="pool",
        topic="topic",
        required_capabilities=["x", "y"],
        priority=-7,
    )
    assert await manager.submit(task) == "an id"
    stored = await read_task(manager, "an id")
    assert stored.submitted_at is not None
    assert stored == task.model_copy(update={"submitted_at": stored.submitted_at})
    assert await nonzero_counts(manager) == {"pending": 1}


async def test_a_submitted_task_is_visible_to_other_stores_at_once(fleet: Fleet) -> None:
    manager, other = fleet.manager(), fleet.manager()
    task_id = await manager.submit(Task())
    assert (await read_task(other, task_id)).state is TaskState.PENDING
    assert await other.claim("b", task_id) is True
    assert (await read_task(manager, task_id)).assigned_to == "b"


@pytest.mark.parametrize("state", STATES)
async def test_submitting_the_same_task_again_changes_nothing(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = Task(id="same", inputs={"a": 1, "b": 2})
    before = await task_in_state(manager, state, id="same", inputs={"a": 1, "b": 2})
    assert await manager.submit(task) == "same"
    assert await manager.submit(Task(id="same", inputs={"b": 2, "a": 1})) == "same"
    assert await manager.submit_many([task, task]) == ["same", "same"]
    assert await read_task(manager, "same") == before


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "other", [{"objective": "other"}, {"priority": 1}, {"pool_id": "p"}, {"constraints": {"max_retries": 1}}]
)
async def test_submitting_another_task_under_a_used_id_is_refused(
    fleet: Fleet, state: str, other: dict[str, Any]
) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state, id="used")
    with pytest.raises(TaskExistsError, match="'used'"):
        await manager.submit(Task(id="used", **other))
    with pytest.raises(TaskExistsError, match="'used'"):
        await manager.submit_many([Task(id="new"), Task(id="used", **other)])
    assert await read_task(manager, "used") == before
    assert (await read_task(manager, "new")).state is TaskState.PENDING


async def test_submit_many_returns_the_ids_in_their_order(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    tasks = [Task(objective=str(number)) for number in range(1203)]
    assert await manager.submit_many(iter(tasks)) == [task.id for task in tasks]
    assert await manager.submit_many([]) == []
    stored = await manager.get_tasks(task.id for task in tasks)
    assert [task.objective for task in stored if task] == [task.objective for task in tasks]
    assert await nonzero_counts(manager) == {"pending": 1203}


async def test_submit_many_names_every_used_id(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    await manager.submit_many(Task(id=f"t{number:02}") for number in range(20))
    with pytest.raises(TaskExistsError) as caught:
        await manager.submit_many(Task(id=f"t{number:02}", priority=number % 2) for number in range(22))
    assert len([number for number in range(20) if f"t{number:02}" in str(caught.value)]) == 10
    assert await nonzero_counts(manager) == {"pending": 22}


async def test_a_large_submit_many_is_split_into_several_scripts(fleet: Fleet) -> None:
    manager = fleet.manager()
    tasks = [Task(inputs={"data": b"x" * 400_000}) for _ in range(9)]
    await manager.submit_many(tasks)
    stored = await manager.get_tasks([task.id for task in tasks])
    assert [task.inputs for task in stored if task] == [task.inputs for task in tasks]


async def test_a_delayed_task_cannot_be_claimed_until_it_is_due(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(), delay=1000)
    assert await manager.claim("a", task_id) is False
    assert await manager.claim_next("a") == []
    assert await manager.list_pending_tasks() == []
    assert await nonzero_counts(manager) == {"pending": 1, "delayed": 1}
    assert "delay" in (await manager.explain_claim("a", task_id))[0]
    fleet.past(task_id, "due")
    assert await manager.explain_claim("a", task_id) == []
    assert await manager.claim("a", task_id) is True
    assert await nonzero_counts(manager) == {"assigned": 1}


async def test_claim_next_claims_a_delayed_task_once_it_is_due(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(), delay=1000)
    fleet.past(task_id, "due")
    assert [task.id for task in await manager.claim_next("a")] == [task_id]
