"""Refused transitions: of agents without the claim, with an older claim, on terminal and on unknown tasks."""

import logging

import pytest

from converge_redis import (
    ClaimLostError,
    NotAuthorizedError,
    TaskCancelledError,
    TaskState,
)
from tests.support.fleet import Fleet
from tests.tasks.support import STATES, TERMINAL_STATES, read_task, task_in_state


@pytest.mark.parametrize("method", ["report", "start", "release", "fail_task"])
@pytest.mark.parametrize("state", STATES)
async def test_only_the_holder_may_act(fleet: Fleet, state: str, method: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    if method == "fail_task":
        call = manager.fail_task(before.id, "why", agent_id="stranger")
    elif method == "report":
        call = manager.report("stranger", before.id, "theirs")
    else:
        call = getattr(manager, method)("stranger", before.id)
    with pytest.raises(NotAuthorizedError, match="not authorized") as caught:
        await call
    assert isinstance(caught.value, ValueError)
    assert type(caught.value) is NotAuthorizedError
    assert "'stranger'" in str(caught.value)
    assert before.id in str(caught.value)
    assert await manager.extend_claim("stranger", before.id) is False
    assert await read_task(manager, before.id) == before


@pytest.mark.parametrize("method", ["report", "start", "release", "fail_task"])
async def test_an_older_claim_of_the_same_agent_is_lost(fleet: Fleet, method: str) -> None:
    manager = fleet.manager()
    old = await task_in_state(manager, "assigned")
    await manager.release("a", old.id)
    (new,) = await manager.claim_next("a")
    if method == "fail_task":
        call = manager.fail_task(old.id, "why", agent_id="a", claim_token=old.claim_token)
    elif method == "report":
        call = manager.report("a", old.id, "old", claim_token=old.claim_token)
    else:
        call = getattr(manager, method)("a", old.id, claim_token=old.claim_token)
    with pytest.raises(ClaimLostError, match=str(new.claim_token)):
        await call
    assert await manager.extend_claim("a", old.id, claim_token=old.claim_token) is False
    assert await manager.extend_claim("a", old.id, claim_token=new.claim_token) is True
    assert (await read_task(manager, old.id)).state is TaskState.ASSIGNED


async def test_a_stale_report_changes_nothing(fleet: Fleet) -> None:
    manager = fleet.manager()
    old = await task_in_state(manager, "running")
    await manager.release("a", old.id)
    await manager.claim("b", old.id)
    for token in (None, old.claim_token):
        with pytest.raises(ClaimLostError, match="'b' holds it"):
            await manager.report("a", old.id, "stale", claim_token=token)
    assert await manager.report("b", old.id, "fresh") is True
    for token in (None, old.claim_token):
        with pytest.raises(NotAuthorizedError):
            await manager.report("a", old.id, "stale", claim_token=token)
    assert (await read_task(manager, old.id)).result == "fresh"


@pytest.mark.parametrize("state", ["assigned", "running"])
async def test_the_holder_of_a_cancelled_task_gets_an_error(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state)
    await manager.cancel_task(task.id)
    assert await manager.extend_claim("a", task.id) is False
    for token in (None, task.claim_token):
        for call in (
            manager.report("a", task.id, 1, claim_token=token),
            manager.start("a", task.id, claim_token=token),
            manager.release("a", task.id, claim_token=token),
            manager.fail_task(task.id, 1, agent_id="a", claim_token=token),
        ):
            with pytest.raises(TaskCancelledError, match=f"{task.id}.*cancelled"):
                await call


async def test_a_requeue_ends_the_claim_of_the_former_holder(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "running")
    await manager.cancel_task(task.id)
    await manager.requeue_task(task.id)
    with pytest.raises(ClaimLostError):
        await manager.report("a", task.id, 1)
    (again,) = await manager.claim_next("a")
    with pytest.raises(ClaimLostError):
        await manager.report("a", task.id, 1, claim_token=task.claim_token)
    assert await manager.report("a", task.id, 1, claim_token=again.claim_token) is True


@pytest.mark.parametrize("state", TERMINAL_STATES)
async def test_nothing_but_a_requeue_changes_a_terminal_task(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await task_in_state(manager, state)
    assert await manager.fail_task(before.id, "another reason") is False
    assert await manager.cancel_task(before.id) is False
    assert await manager.extend_claim("a", before.id) is False
    for call in (
        manager.start("a", before.id),
        manager.release("a", before.id),
        manager.report("a", before.id, "other"),
        manager.fail_task(before.id, "another reason", agent_id="a"),
    ):
        with pytest.raises(NotAuthorizedError):
            await call
    assert await read_task(manager, before.id) == before


async def test_calls_for_an_unknown_task(fleet: Fleet, caplog: pytest.LogCaptureFixture) -> None:
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
