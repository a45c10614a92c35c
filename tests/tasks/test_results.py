"""Results of finished tasks."""

import pytest

from converge_redis import AsyncTaskManager, InvalidValueError, Task, TaskFailedError, TaskState
from tests.support.fleet import Fleet


@pytest.fixture
def manager(fleet: Fleet) -> AsyncTaskManager:
    return fleet.manager()


async def finished(manager: AsyncTaskManager, task_id: str) -> Task:
    task = await manager.get_task(task_id)
    assert task is not None
    assert task.is_finished
    return task


async def test_a_completed_task_returns_its_result(manager: AsyncTaskManager) -> None:
    task_id = await manager.submit(Task())
    await manager.claim("agent", task_id)
    await manager.report("agent", task_id, {"words": 3})
    assert (await finished(manager, task_id)).result_or_raise() == {"words": 3}


async def test_a_failed_task_raises_with_its_id_and_reason(manager: AsyncTaskManager) -> None:
    task_id = await manager.submit(Task())
    await manager.fail_task(task_id, "there is no text")
    with pytest.raises(TaskFailedError, match="there is no text") as caught:
        (await finished(manager, task_id)).result_or_raise()
    assert (caught.value.task_id, caught.value.reason) == (task_id, "there is no text")


async def test_a_cancelled_task_raises_without_a_reason(manager: AsyncTaskManager) -> None:
    task_id = await manager.submit(Task())
    await manager.cancel_task(task_id)
    with pytest.raises(TaskFailedError, match="cancelled") as caught:
        (await finished(manager, task_id)).result_or_raise()
    assert (caught.value.task_id, caught.value.reason) == (task_id, None)


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.ASSIGNED, TaskState.RUNNING])
def test_a_task_that_is_not_finished_has_no_result(state: TaskState) -> None:
    task = Task(state=state)
    assert not task.is_finished
    with pytest.raises(InvalidValueError, match=f"{task.id}.*{state}"):
        task.result_or_raise()


async def test_submit_many_delays_all_tasks(manager: AsyncTaskManager, fleet: Fleet) -> None:
    ids = await manager.submit_many([Task(), Task()], delay=3600)
    assert await manager.claim_next("agent") == []
    fleet.past(ids[0], "due")
    assert [task.id for task in await manager.claim_next("agent", count=2)] == [ids[0]]
