"""The transitions of a task: claim, start, release, report, fail_task, cancel_task, requeue_task."""

import asyncio
from typing import Any

import pytest

from converge_redis import (
    NotAuthorizedError,
    Task,
    TaskState,
)
from tests.support.fleet import Fleet
from tests.tasks.support import STATES, nonzero_counts, read_task, task_in_state

# Claim: pending to assigned


async def test_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    submitted = await task_in_state(manager, "pending")
    assert await manager.claim("a", submitted.id) is True
    task = await read_task(manager, submitted.id)
    assert (task.state, task.assigned_to, task.attempts) == (TaskState.ASSIGNED, "a", 1)
    assert task.claim_token is not None
    assert task.claimed_at is not None
    assert submitted.submitted_at is not None
    assert task.claimed_at >= submitted.submitted_at
    assert [claimed.id for claimed in await manager.list_claims("a")] == [task.id]
    assert await nonzero_counts(manager) == {"assigned": 1}


@pytest.mark.parametrize("agent", ["a", "b"])
@pytest.mark.parametrize("state", [state for state in STATES if state != "pending"])
async def test_only_a_pending_task_can_be_claimed(fleet: Fleet, state: str, agent: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    assert await manager.claim(agent, before.id) is False
    assert await manager.claim_next(agent) == []
    assert await read_task(manager, before.id) == before


async def test_an_unknown_task_cannot_be_claimed(fleet: Fleet) -> None:
    assert await fleet.manager().claim("a", "unknown") is False


async def test_claim_next_returns_the_same_snapshots_as_get_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(inputs={"a": (1,)}, constraints={"claim_ttl_sec": 100}))
    (claimed,) = await manager.claim_next("a")
    assert await read_task(manager, claimed.id) == claimed
    assert await manager.list_claims("a") == [claimed]


async def test_claim_tokens_only_grow(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    tokens = []
    for agent in ["a", "b", "a", "a"]:
        (task,) = await manager.claim_next(agent)
        tokens.append(task.claim_token or 0)
        await manager.release(agent, task_id)
    assert tokens == sorted(set(tokens))


async def test_claim_tokens_grow_after_the_clock_was_set_back(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned")
    await manager.release("a", task.id)
    fleet.edit(task.id, token=str(2**53 - 10))
    (again,) = await manager.claim_next("a")
    assert again.claim_token == 2**53 - 9


async def test_one_of_eight_stores_wins_a_task(fleet: Fleet) -> None:
    managers = [fleet.manager() for _ in range(8)]
    for _ in range(5):
        task_id = await managers[0].submit(Task())
        won = await asyncio.gather(
            *(manager.claim(f"agent {number}", task_id) for number, manager in enumerate(managers))
        )
        assert sorted(won) == [False] * 7 + [True]
        assert (await read_task(managers[0], task_id)).assigned_to == f"agent {won.index(True)}"


# Start: assigned to running


async def test_start(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned")
    assert await manager.start("a", task.id, claim_token=task.claim_token) is True
    assert await manager.start("a", task.id) is True
    assert await read_task(manager, task.id) == task.model_copy(update={"state": TaskState.RUNNING})
    assert await nonzero_counts(manager) == {"running": 1}


# Release: assigned or running to pending


@pytest.mark.parametrize("state", ["assigned", "running"])
async def test_release(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state)
    assert await manager.release("a", task.id, claim_token=task.claim_token) is True
    released = await read_task(manager, task.id)
    assert (released.state, released.assigned_to, released.claimed_at, released.attempts) == (
        TaskState.PENDING,
        None,
        None,
        0,
    )
    assert await manager.list_claims("a") == []
    assert [task.id for task in await manager.claim_next("b")] == [task.id]


async def test_release_with_a_delay(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "running")
    await manager.release("a", task.id, delay=1000)
    assert await manager.claim("a", task.id) is False
    assert await nonzero_counts(manager) == {"pending": 1, "delayed": 1}
    fleet.past(task.id, "due")
    assert await manager.claim("b", task.id) is True


# Report: assigned or running to completed


@pytest.mark.parametrize("state", ["assigned", "running"])
@pytest.mark.parametrize("result", [None, {"a": [1, (2,), {3}]}, "text", b"\x00\xff", float("inf")])
async def test_report(fleet: Fleet, state: str, result: Any) -> None:
    manager = fleet.manager()
    claimed = await task_in_state(manager, state)
    assert await manager.report("a", claimed.id, result, claim_token=claimed.claim_token) is True
    task = await read_task(manager, claimed.id)
    assert (task.state, task.result, task.assigned_to) == (TaskState.COMPLETED, result, "a")
    assert task.claim_token == claimed.claim_token
    assert task.finished_at is not None
    assert claimed.claimed_at is not None
    assert task.finished_at >= claimed.claimed_at
    assert await manager.list_claims("a") == []
    assert await nonzero_counts(manager) == {"completed": 1}


async def test_only_the_same_report_is_accepted_again(fleet: Fleet) -> None:
    manager = fleet.manager()
    claimed = await task_in_state(manager, "assigned")
    await manager.report("a", claimed.id, {"a": 1})
    before = await read_task(manager, claimed.id)
    assert await manager.report("a", claimed.id, {"a": 1}) is True
    assert await manager.report("a", claimed.id, {"a": 1}, claim_token=claimed.claim_token) is True
    for agent, result, token in [("a", {"a": 2}, None), ("b", {"a": 1}, None), ("a", {"a": 1}, 5)]:
        with pytest.raises(NotAuthorizedError, match="not authorized"):
            await manager.report(agent, claimed.id, result, claim_token=token)
    assert await read_task(manager, claimed.id) == before


# Fail and cancel: any state that is not terminal to failed or cancelled


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
async def test_any_caller_may_fail_a_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    assert await manager.fail_task(before.id, {"why": ["x"]}) is True
    task = await read_task(manager, before.id)
    assert (task.state, task.result) == (TaskState.FAILED, {"why": ["x"]})
    assert await nonzero_counts(manager) == {"failed": 1}


@pytest.mark.parametrize("state", ["assigned", "running"])
@pytest.mark.parametrize("with_token", [False, True])
async def test_the_holder_may_fail_a_task(fleet: Fleet, state: str, with_token: bool) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    token = before.claim_token if with_token else None
    assert await manager.fail_task(before.id, "why", agent_id="a", claim_token=token) is True
    assert (await read_task(manager, before.id)).state is TaskState.FAILED


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
async def test_cancel_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    assert await manager.cancel_task(before.id) is True
    task = await read_task(manager, before.id)
    assert task.state is TaskState.CANCELLED
    assert task.finished_at is not None
    assert await nonzero_counts(manager) == {"cancelled": 1}
    assert await manager.claim_next("b") == []


# Requeue: failed or cancelled to pending


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_requeue_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state)
    assert await manager.requeue_task(task.id) is True
    again = await read_task(manager, task.id)
    assert again.state is TaskState.PENDING
    assert (again.result, again.finished_at, again.assigned_to) == (None, None, None)
    assert await manager.requeue_task(task.id) is False
    assert [task.id for task in await manager.claim_next("b")] == [task.id]
    assert await manager.report("b", task.id, "at last") is True
    assert (await read_task(manager, task.id)).result == "at last"


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"failed", "cancelled"}])
async def test_only_a_failed_or_cancelled_task_can_be_requeued(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    assert await manager.requeue_task(before.id) is False
    assert await read_task(manager, before.id) == before


async def test_a_task_can_be_requeued_many_times(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    for _ in range(6):
        assert await manager.claim("a", task_id)
        assert await manager.start("a", task_id)
        assert await manager.fail_task(task_id, "again", agent_id="a")
        assert await manager.requeue_task(task_id)
    task = await read_task(manager, task_id)
    assert (task.state, task.attempts) == (TaskState.PENDING, 6)
    assert await nonzero_counts(manager) == {"pending": 1}
