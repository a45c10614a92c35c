"""A server that has reached its maxmemory: it takes no new tasks, and claimed tasks can be finished."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from converge_redis import StoreFullError, Task, TaskExistsError
from tests.support.fleet import Fleet


@contextmanager
def full_server(fleet: Fleet) -> Iterator[None]:
    """Let the server refuse each command that may take memory."""
    fleet.raw.config_set("maxmemory", 1)
    try:
        yield
    finally:
        fleet.raw.config_set("maxmemory", 0)


async def test_a_full_server_refuses_tasks_and_lets_claimed_ones_finish(real_fleet: Fleet) -> None:
    fleet, manager = real_fleet, real_fleet.manager()
    await manager.submit_many([Task(topic="t") for _ in range(5)])
    early = (await manager.claim_next("early"))[0]
    with full_server(fleet):
        refused = Task()
        with pytest.raises(StoreFullError, match="maxmemory"):
            await manager.submit(refused)
        assert await manager.get_tasks([refused.id]) == [None]
        assert await manager.extend_claim("early", early.id, claim_token=early.claim_token)
        assert await manager.release("early", early.id, claim_token=early.claim_token)
        newcomer = fleet.manager()  # as of a process that starts only now
        claimed = await newcomer.claim_next("late", count=5)
        assert len(claimed) == 5
        for task in claimed[:-1]:
            assert await newcomer.report("late", task.id, "result", claim_token=task.claim_token)
        last = claimed[-1]
        assert await newcomer.fail_task(last.id, "reason", agent_id="late", claim_token=last.claim_token)
        assert await newcomer.claim_next("late", wait=0.05) == []
        counts = await newcomer.counts()
    assert (counts["completed"], counts["failed"], counts["pending"]) == (4, 1, 0)
    await manager.submit(refused)


async def test_a_stored_task_can_be_submitted_again(real_fleet: Fleet) -> None:
    """The client does so when a reply was lost."""
    manager = real_fleet.manager()
    tasks = [Task(objective="small"), Task(objective="x" * 2000)]
    await manager.submit_many(tasks)
    with full_server(real_fleet):
        assert await manager.submit_many(tasks) == [task.id for task in tasks]
        with pytest.raises(StoreFullError):
            await manager.submit_many([*tasks, Task()])
        with pytest.raises(TaskExistsError):
            await manager.submit(Task(id=tasks[0].id, objective="another"))
    assert (await manager.counts())["pending"] == 2


async def test_a_full_server_refuses_a_new_namespace(real_fleet: Fleet) -> None:
    with full_server(real_fleet), pytest.raises(StoreFullError, match="maxmemory"):
        await real_fleet.manager().counts()
