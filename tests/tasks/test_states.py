"""The state machine, one table of tests for each of its arrows: what it does, what it refuses, and twice."""

import asyncio
import logging
from typing import Any

import pytest

from converge_redis import (
    AsyncTaskManager,
    ClaimLostError,
    NotAuthorizedError,
    Task,
    TaskCancelledError,
    TaskExistsError,
    TaskState,
)
from tests.support.fleet import Fleet

STATES = ["pending", "delayed", "assigned", "running", "completed", "failed", "cancelled"]
TERMINAL = {"completed", "failed", "cancelled"}


async def brought_to(manager: AsyncTaskManager, state: str, result: Any = "result", **fields: Any) -> Task:
    """A task in a state; its holder is agent ``a``."""
    task = Task(**fields)
    await manager.submit(task, delay=1000 if state == "delayed" else 0)
    if state in {"assigned", "running", "completed"}:
        assert await manager.claim("a", task.id) is True
    if state == "running":
        assert await manager.start("a", task.id) is True
    if state == "completed":
        assert await manager.report("a", task.id, result) is True
    if state == "failed":
        assert await manager.fail_task(task.id, "reason") is True
    if state == "cancelled":
        assert await manager.cancel_task(task.id) is True
    return await read(manager, task.id)


async def read(manager: AsyncTaskManager, task_id: str) -> Task:
    task = await manager.get_task(task_id)
    assert task is not None
    return task


async def counted(manager: AsyncTaskManager) -> dict[str, int]:
    return {state: number for state, number in (await manager.counts()).items() if number}


# → pending: submit


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
    stored = await read(manager, "an id")
    assert stored.submitted_at is not None
    assert stored == task.model_copy(update={"submitted_at": stored.submitted_at})
    assert await counted(manager) == {"pending": 1}


async def test_submit_is_seen_by_other_stores_at_once(fleet: Fleet) -> None:
    one, other = fleet.manager(), fleet.manager()
    task_id = await one.submit(Task())
    assert (await read(other, task_id)).state is TaskState.PENDING
    assert await other.claim("b", task_id) is True
    assert (await read(one, task_id)).assigned_to == "b"


@pytest.mark.parametrize("state", STATES)
async def test_submit_of_the_same_task_again_changes_nothing(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = Task(id="same", inputs={"a": 1, "b": 2})
    before = await brought_to(manager, state, id="same", inputs={"a": 1, "b": 2})
    assert await manager.submit(task) == "same"
    assert await manager.submit(Task(id="same", inputs={"b": 2, "a": 1})) == "same"
    assert await manager.submit_many([task, task]) == ["same", "same"]
    assert await read(manager, "same") == before


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    "other", [{"objective": "other"}, {"priority": 1}, {"pool_id": "p"}, {"constraints": {"max_retries": 1}}]
)
async def test_submit_of_another_task_under_a_used_id_is_refused(
    fleet: Fleet, state: str, other: dict[str, Any]
) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state, id="used")
    with pytest.raises(TaskExistsError, match="'used'"):
        await manager.submit(Task(id="used", **other))
    with pytest.raises(TaskExistsError, match="'used'"):
        await manager.submit_many([Task(id="new"), Task(id="used", **other)])
    assert await read(manager, "used") == before
    assert (await read(manager, "new")).state is TaskState.PENDING


async def test_submit_many_keeps_the_order_of_ids(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    tasks = [Task(objective=str(number)) for number in range(1203)]
    assert await manager.submit_many(iter(tasks)) == [task.id for task in tasks]
    assert await manager.submit_many([]) == []
    stored = await manager.get_tasks(task.id for task in tasks)
    assert [task.objective for task in stored if task] == [task.objective for task in tasks]
    assert await counted(manager) == {"pending": 1203}


async def test_submit_many_names_every_id_that_is_taken(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    await manager.submit_many(Task(id=f"t{number:02}") for number in range(20))
    with pytest.raises(TaskExistsError) as caught:
        await manager.submit_many(Task(id=f"t{number:02}", priority=number % 2) for number in range(22))
    assert len([number for number in range(20) if f"t{number:02}" in str(caught.value)]) == 10
    assert await counted(manager) == {"pending": 22}


async def test_a_large_submit_many_is_cut_into_bounded_scripts(fleet: Fleet) -> None:
    manager = fleet.manager()
    tasks = [Task(inputs={"data": b"x" * 400_000}) for _ in range(9)]
    await manager.submit_many(tasks)
    stored = await manager.get_tasks([task.id for task in tasks])
    assert [task.inputs for task in stored if task] == [task.inputs for task in tasks]


async def test_delayed_tasks_are_not_claimable_until_they_are_due(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(), delay=1000)
    assert await manager.claim("a", task_id) is False
    assert await manager.claim_next("a") == []
    assert await manager.list_pending_tasks() == []
    assert await counted(manager) == {"pending": 1, "delayed": 1}
    assert "delay" in (await manager.explain_claim("a", task_id))[0]
    fleet.past(task_id, "due")
    assert await manager.explain_claim("a", task_id) == []
    assert await manager.claim("a", task_id) is True
    assert await counted(manager) == {"assigned": 1}


async def test_claim_next_finds_a_delayed_task_once_it_is_due(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(), delay=1000)
    fleet.past(task_id, "due")
    assert [task.id for task in await manager.claim_next("a")] == [task_id]


# pending → assigned: claim


async def test_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    submitted = await brought_to(manager, "pending")
    assert await manager.claim("a", submitted.id) is True
    task = await read(manager, submitted.id)
    assert (task.state, task.assigned_to, task.attempts) == (TaskState.ASSIGNED, "a", 1)
    assert task.claim_token is not None
    assert task.claimed_at is not None
    assert submitted.submitted_at is not None
    assert task.claimed_at >= submitted.submitted_at
    assert [held.id for held in await manager.list_claims("a")] == [task.id]
    assert await counted(manager) == {"assigned": 1}


@pytest.mark.parametrize("agent", ["a", "b"])
@pytest.mark.parametrize("state", [state for state in STATES if state != "pending"])
async def test_claim_refuses_what_is_not_pending(fleet: Fleet, state: str, agent: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    assert await manager.claim(agent, before.id) is False
    assert await manager.claim_next(agent) == []
    assert await read(manager, before.id) == before


async def test_claim_of_an_unknown_task(fleet: Fleet) -> None:
    assert await fleet.manager().claim("a", "unknown") is False


async def test_claim_next_returns_snapshots_as_get_task_does(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(inputs={"a": (1,)}, constraints={"claim_ttl_sec": 100}))
    (claimed,) = await manager.claim_next("a")
    assert await read(manager, claimed.id) == claimed
    assert await manager.list_claims("a") == [claimed]


async def test_tokens_only_grow(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    tokens = []
    for agent in ["a", "b", "a", "a"]:
        (task,) = await manager.claim_next(agent)
        tokens.append(task.claim_token or 0)
        await manager.release(agent, task_id)
    assert tokens == sorted(set(tokens))


async def test_tokens_grow_also_when_the_clock_was_set_back(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned")
    await manager.release("a", task.id)
    fleet.edit(task.id, token=str(2**53 - 10))
    (again,) = await manager.claim_next("a")
    assert again.claim_token == 2**53 - 9


# assigned → running: start


async def test_start(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned")
    assert await manager.start("a", task.id, claim_token=task.claim_token) is True
    assert await manager.start("a", task.id) is True
    assert await read(manager, task.id) == task.model_copy(update={"state": TaskState.RUNNING})
    assert await counted(manager) == {"running": 1}


# assigned, running → pending: release


@pytest.mark.parametrize("state", ["assigned", "running"])
async def test_release(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, state)
    assert await manager.release("a", task.id, claim_token=task.claim_token) is True
    released = await read(manager, task.id)
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
    task = await brought_to(manager, "running")
    await manager.release("a", task.id, delay=1000)
    assert await manager.claim("a", task.id) is False
    assert await counted(manager) == {"pending": 1, "delayed": 1}
    fleet.past(task.id, "due")
    assert await manager.claim("b", task.id) is True


# assigned, running → completed: report


@pytest.mark.parametrize("state", ["assigned", "running"])
@pytest.mark.parametrize("result", [None, {"a": [1, (2,), {3}]}, "text", b"\x00\xff", float("inf")])
async def test_report(fleet: Fleet, state: str, result: Any) -> None:
    manager = fleet.manager()
    claimed = await brought_to(manager, state)
    assert await manager.report("a", claimed.id, result, claim_token=claimed.claim_token) is True
    task = await read(manager, claimed.id)
    assert (task.state, task.result, task.assigned_to) == (TaskState.COMPLETED, result, "a")
    assert task.claim_token == claimed.claim_token
    assert task.finished_at is not None
    assert claimed.claimed_at is not None
    assert task.finished_at >= claimed.claimed_at
    assert await manager.list_claims("a") == []
    assert await counted(manager) == {"completed": 1}


async def test_the_same_report_again_is_accepted_and_another_is_not(fleet: Fleet) -> None:
    manager = fleet.manager()
    claimed = await brought_to(manager, "assigned")
    await manager.report("a", claimed.id, {"a": 1})
    before = await read(manager, claimed.id)
    assert await manager.report("a", claimed.id, {"a": 1}) is True
    assert await manager.report("a", claimed.id, {"a": 1}, claim_token=claimed.claim_token) is True
    for agent, result, token in [("a", {"a": 2}, None), ("b", {"a": 1}, None), ("a", {"a": 1}, 5)]:
        with pytest.raises(NotAuthorizedError, match="not authorized"):
            await manager.report(agent, claimed.id, result, claim_token=token)
    assert await read(manager, claimed.id) == before


# → failed: fail_task


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
async def test_fail_task_by_anybody(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    assert await manager.fail_task(before.id, {"why": ["x"]}) is True
    task = await read(manager, before.id)
    assert (task.state, task.result) == (TaskState.FAILED, {"why": ["x"]})
    assert await counted(manager) == {"failed": 1}


@pytest.mark.parametrize("state", ["assigned", "running"])
@pytest.mark.parametrize("with_token", [False, True])
async def test_fail_task_by_the_holder(fleet: Fleet, state: str, with_token: bool) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    token = before.claim_token if with_token else None
    assert await manager.fail_task(before.id, "why", agent_id="a", claim_token=token) is True
    assert (await read(manager, before.id)).state is TaskState.FAILED


@pytest.mark.parametrize("state", sorted(TERMINAL))
async def test_nothing_changes_a_terminal_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    assert await manager.fail_task(before.id, "another reason") is False
    assert await manager.cancel_task(before.id) is False
    assert await manager.extend_claim("a", before.id) is False
    for act in (
        manager.start("a", before.id),
        manager.release("a", before.id),
        manager.report("a", before.id, "other"),
        manager.fail_task(before.id, "another reason", agent_id="a"),
    ):
        with pytest.raises(NotAuthorizedError):
            await act
    assert await read(manager, before.id) == before


# → cancelled: cancel_task


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
async def test_cancel_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    assert await manager.cancel_task(before.id) is True
    task = await read(manager, before.id)
    assert task.state is TaskState.CANCELLED
    assert task.finished_at is not None
    assert await counted(manager) == {"cancelled": 1}
    assert await manager.claim_next("b") == []


@pytest.mark.parametrize("state", ["assigned", "running"])
async def test_the_holder_learns_of_the_cancellation(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, state)
    await manager.cancel_task(task.id)
    assert await manager.extend_claim("a", task.id) is False
    for token in (None, task.claim_token):
        for act in (
            manager.report("a", task.id, 1, claim_token=token),
            manager.start("a", task.id, claim_token=token),
            manager.release("a", task.id, claim_token=token),
            manager.fail_task(task.id, 1, agent_id="a", claim_token=token),
        ):
            with pytest.raises(TaskCancelledError, match=f"{task.id}.*cancelled"):
                await act


# failed, cancelled → pending: requeue_task


@pytest.mark.parametrize("state", ["failed", "cancelled"])
async def test_requeue_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, state)
    assert await manager.requeue_task(task.id) is True
    again = await read(manager, task.id)
    assert again.state is TaskState.PENDING
    assert (again.result, again.finished_at, again.assigned_to) == (None, None, None)
    assert await manager.requeue_task(task.id) is False
    assert [task.id for task in await manager.claim_next("b")] == [task.id]
    assert await manager.report("b", task.id, "at last") is True
    assert (await read(manager, task.id)).result == "at last"


@pytest.mark.parametrize("state", [state for state in STATES if state not in {"failed", "cancelled"}])
async def test_requeue_task_refuses_the_other_states(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    assert await manager.requeue_task(before.id) is False
    assert await read(manager, before.id) == before


async def test_the_holder_before_a_requeue_is_told_that_its_claim_is_lost(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "running")
    await manager.cancel_task(task.id)
    await manager.requeue_task(task.id)
    with pytest.raises(ClaimLostError):
        await manager.report("a", task.id, 1)
    (again,) = await manager.claim_next("a")
    with pytest.raises(ClaimLostError):
        await manager.report("a", task.id, 1, claim_token=task.claim_token)
    assert await manager.report("a", task.id, 1, claim_token=again.claim_token) is True


# Refusals


@pytest.mark.parametrize("verb", ["report", "start", "release", "fail_task"])
@pytest.mark.parametrize("state", STATES)
async def test_only_the_holder_may(fleet: Fleet, state: str, verb: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state)
    if verb == "fail_task":
        act = manager.fail_task(before.id, "why", agent_id="stranger")
    elif verb == "report":
        act = manager.report("stranger", before.id, "theirs")
    else:
        act = getattr(manager, verb)("stranger", before.id)
    with pytest.raises(NotAuthorizedError, match="not authorized") as caught:
        await act
    assert isinstance(caught.value, ValueError)
    assert type(caught.value) is NotAuthorizedError
    assert "'stranger'" in str(caught.value)
    assert before.id in str(caught.value)
    assert await manager.extend_claim("stranger", before.id) is False
    assert await read(manager, before.id) == before


@pytest.mark.parametrize("verb", ["report", "start", "release", "fail_task"])
async def test_an_older_claim_of_the_same_agent_is_lost(fleet: Fleet, verb: str) -> None:
    manager = fleet.manager()
    old = await brought_to(manager, "assigned")
    await manager.release("a", old.id)
    (new,) = await manager.claim_next("a")
    if verb == "fail_task":
        act = manager.fail_task(old.id, "why", agent_id="a", claim_token=old.claim_token)
    elif verb == "report":
        act = manager.report("a", old.id, "old", claim_token=old.claim_token)
    else:
        act = getattr(manager, verb)("a", old.id, claim_token=old.claim_token)
    with pytest.raises(ClaimLostError, match=str(new.claim_token)):
        await act
    assert await manager.extend_claim("a", old.id, claim_token=old.claim_token) is False
    assert await manager.extend_claim("a", old.id, claim_token=new.claim_token) is True
    assert (await read(manager, old.id)).state is TaskState.ASSIGNED


async def test_a_stale_report_after_another_agent_took_over(fleet: Fleet) -> None:
    manager = fleet.manager()
    old = await brought_to(manager, "running")
    await manager.release("a", old.id)
    await manager.claim("b", old.id)
    for token in (None, old.claim_token):
        with pytest.raises(ClaimLostError, match="'b' holds it"):
            await manager.report("a", old.id, "stale", claim_token=token)
    assert await manager.report("b", old.id, "fresh") is True
    for token in (None, old.claim_token):
        with pytest.raises(NotAuthorizedError):
            await manager.report("a", old.id, "stale", claim_token=token)
    assert (await read(manager, old.id)).result == "fresh"


async def test_verbs_about_an_unknown_task(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
    manager = fleet.manager()
    with caplog.at_level(logging.WARNING, "converge_redis"):
        assert await manager.report("a", "unknown", 1) is False
        assert await manager.start("a", "unknown") is False
        assert await manager.release("a", "unknown") is False
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 3
    assert all("'unknown'" in record.getMessage() for record in caplog.records)
    assert await manager.extend_claim("a", "unknown") is False
    assert await manager.fail_task("unknown", 1) is False
    assert await manager.fail_task("unknown", 1, agent_id="a") is False
    assert await manager.cancel_task("unknown") is False
    assert await manager.requeue_task("unknown") is False
    assert await manager.get_task("unknown") is None
    assert await manager.explain_claim("a", "unknown") == ["task: there is no such task"]
    assert fleet.raw.keys("*") == [fleet.namespaces["test"].keys.layout.encode()]


async def test_eight_stores_race_for_one_task(fleet: Fleet) -> None:
    managers = [fleet.manager() for _ in range(8)]
    for _ in range(5):
        task_id = await managers[0].submit(Task())
        won = await asyncio.gather(
            *(manager.claim(f"agent {number}", task_id) for number, manager in enumerate(managers))
        )
        assert sorted(won) == [False] * 7 + [True]
        assert (await read(managers[0], task_id)).assigned_to == f"agent {won.index(True)}"


async def test_a_task_goes_through_its_states_many_times(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    for _ in range(6):
        assert await manager.claim("a", task_id)
        assert await manager.start("a", task_id)
        assert await manager.fail_task(task_id, "again", agent_id="a")
        assert await manager.requeue_task(task_id)
    task = await read(manager, task_id)
    assert (task.state, task.attempts) == (TaskState.PENDING, 6)
    assert await counted(manager) == {"pending": 1}


async def test_my_claims_of_many_tasks_that_were_claimed_together(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(650))
    for count in (1, 450, 199):
        await manager.claim_next("a", count=count)
    held = await manager.list_claims("a")
    assert sorted(task.id for task in held) == sorted(ids)
    tokens = [task.claim_token or 0 for task in held]
    assert tokens == sorted(tokens)
