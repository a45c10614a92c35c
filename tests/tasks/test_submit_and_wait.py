"""submit_and_wait: one call that submits a task and waits for its end."""

import asyncio
import contextlib
import time

import pytest

from converge_redis import AsyncTaskManager, Task, TaskExistsError, TaskState
from tests.support.backends import async_until
from tests.support.fleet import Fleet
from tests.tasks.support import (
    ASYNC_ONLY,
    LONG_WAIT,
    end_task,
    read_task,
    subscribe,
    until_unregistered,
    until_watched,
    within_timeout,
)
from tests.transport.test_lost_connections import held_bytes, paused


async def work_on_one(manager: AsyncTaskManager, agent: str) -> None:
    """Wait for a task, claim it, and report a result."""
    (task,) = await manager.claim_next(agent, wait=LONG_WAIT)
    await manager.report(agent, task.id, {"by": agent}, claim_token=task.claim_token)


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
async def test_it_returns_the_ended_task(fleet: Fleet, state: str) -> None:
    here, there = fleet.manager(), fleet.manager()
    await subscribe(fleet, here)
    task = Task(objective="work")
    waiting = asyncio.create_task(here.submit_and_wait(task, LONG_WAIT))
    await until_watched(fleet, task.id)
    await end_task(there, task.id, state)
    ended = await within_timeout(waiting)
    assert ended == await read_task(there, task.id)
    assert ended is not None
    assert ended.state == state


async def test_it_may_be_the_first_call_of_a_store(fleet: Fleet) -> None:
    """The task may end before the listener is subscribed."""
    for _ in range(5):
        here, there = fleet.manager(), fleet.manager()
        working = asyncio.create_task(work_on_one(there, "a"))
        ended = await within_timeout(here.submit_and_wait(Task(), LONG_WAIT))
        assert ended is not None
        assert ended.result == {"by": "a"}
        await working
        await fleet.close_store(here)
        await fleet.close_store(there)


async def test_many_calls_at_once_get_their_own_results(fleet: Fleet) -> None:
    here, there = fleet.manager(), fleet.manager()

    async def work() -> None:
        while True:
            for task in await there.claim_next("a", count=10, wait=0.05):
                await there.report("a", task.id, task.inputs["number"])

    working = asyncio.create_task(work())
    calls = [here.submit_and_wait(Task(inputs={"number": number}), LONG_WAIT) for number in range(40)]
    ended = await within_timeout(asyncio.gather(*calls))
    assert [task and task.result for task in ended] == list(range(40))
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working


async def test_it_returns_none_when_the_time_is_up(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = Task()
    assert await manager.submit_and_wait(task, 0.02) is None
    assert (await read_task(manager, task.id)).state is TaskState.PENDING
    waiting = asyncio.create_task(manager.wait(task.id, LONG_WAIT))
    await until_watched(fleet, task.id)
    await end_task(manager, task.id, "completed")
    assert await within_timeout(waiting) is not None


async def test_it_only_waits_for_a_task_that_was_submitted_before(fleet: Fleet) -> None:
    manager, other = fleet.manager(), fleet.manager()
    task = Task(inputs={"a": 1})
    await manager.submit(task)
    waiting = asyncio.create_task(manager.submit_and_wait(task, LONG_WAIT))
    await until_watched(fleet, task.id)
    await end_task(other, task.id, "completed")
    ended = await within_timeout(waiting)
    assert ended is not None
    assert ended.result == "result"
    assert await within_timeout(manager.submit_and_wait(task, LONG_WAIT)) == ended  # it has ended already
    assert (await manager.counts())["completed"] == 1


async def test_another_task_under_a_used_id_is_refused(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(id="one", inputs={"a": 1}))
    with pytest.raises(TaskExistsError, match="'one'"):
        await within_timeout(manager.submit_and_wait(Task(id="one", inputs={"a": 2}), LONG_WAIT))
    await until_unregistered(fleet, "watchers:")


async def test_a_deadline_ends_the_wait_without_any_other_call(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    task = Task(constraints={"deadline": time.time() + 0.3})
    ended = await within_timeout(manager.submit_and_wait(task, LONG_WAIT))
    assert ended is not None
    assert ended.state is TaskState.FAILED
    assert ended.result["reason"] == "deadline"


async def test_the_task_may_be_delayed(fleet: Fleet) -> None:
    here, there = fleet.manager(), fleet.manager()
    working = asyncio.create_task(work_on_one(there, "a"))
    ended = await within_timeout(here.submit_and_wait(Task(), LONG_WAIT, delay=0.1))
    assert ended is not None
    assert ended.claimed_at is not None
    assert ended.submitted_at is not None
    assert ended.claimed_at - ended.submitted_at >= 0.1
    await working


@ASYNC_ONLY
async def test_a_cancelled_call_unregisters_the_listener_at_any_moment(fleet: Fleet) -> None:
    manager = fleet.manager()
    await subscribe(fleet, manager)
    for turns in range(12):
        task = Task()
        waiting = asyncio.create_task(manager.submit_and_wait(task, LONG_WAIT))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        await manager.counts()  # the calls in flight have reached the server
        await until_unregistered(fleet, "watchers:")


# Other calls wait for the same task before it exists


async def test_a_wait_that_begins_just_before_returns_the_task_or_none(fleet: Fleet) -> None:
    """However long before: `wait` returns the ended task, or None as the task does not exist yet."""
    here, there = fleet.manager(), fleet.manager()
    await subscribe(fleet, here)
    for turns in range(10):
        task = Task()
        other = asyncio.create_task(here.wait(task.id, LONG_WAIT))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting = asyncio.create_task(here.submit_and_wait(task, LONG_WAIT))
        ended, returned = await ends_of(fleet, there, task.id, waiting, other)
        if turns == 0 and fleet.style == "async":  # the listener reads nothing before both calls wait
            assert returned == ended
        assert returned in (None, ended)


async def more_is_held(fleet: Fleet, than: int) -> None:
    """Return once the server holds back more bytes of calls."""
    await async_until(lambda: held_bytes(fleet.raw) > than)


async def ends_of(
    fleet: Fleet,
    manager: AsyncTaskManager,
    task_id: str,
    waiting: "asyncio.Task[Task | None]",
    other: "asyncio.Task[Task | None]",
) -> tuple[Task | None, Task | None]:
    """Complete a task; return the results of two calls, the first of which must be the completed task."""
    await until_watched(fleet, task_id)
    await end_task(manager, task_id, "completed")
    ended, returned = await within_timeout(waiting), await within_timeout(other)
    assert ended is not None
    assert ended.result == "result"
    return ended, returned


async def test_a_wait_that_is_in_flight_does_not_end_the_call(real_fleet: Fleet) -> None:
    """The reply of the wait, that the task does not exist, is not handed to submit_and_wait."""
    fleet = real_fleet
    here, there = fleet.manager(), fleet.manager()
    await subscribe(fleet, here)
    await there.counts()
    task = Task()
    with paused(fleet.raw):
        before = held_bytes(fleet.raw)
        other = asyncio.create_task(here.wait(task.id, LONG_WAIT))
        await more_is_held(fleet, before)
        before = held_bytes(fleet.raw)
        waiting = asyncio.create_task(here.submit_and_wait(task, LONG_WAIT))
        await more_is_held(fleet, before)
    ended, returned = await ends_of(fleet, there, task.id, waiting, other)
    assert returned in (None, ended)


@pytest.mark.parametrize("method", ["wait", "submit_and_wait"])
async def test_a_wait_that_begins_while_the_task_is_in_flight_returns_it(
    real_fleet: Fleet, method: str
) -> None:
    """The task is about to exist, so the wait does not return None."""
    fleet = real_fleet
    here, there = fleet.manager(), fleet.manager()
    await subscribe(fleet, here)
    await there.counts()
    task = Task()
    with paused(fleet.raw):
        before = held_bytes(fleet.raw)
        waiting = asyncio.create_task(here.submit_and_wait(task, LONG_WAIT))
        await more_is_held(fleet, before)
        begun = here.wait(task.id, LONG_WAIT) if method == "wait" else here.submit_and_wait(task, LONG_WAIT)
        other = asyncio.create_task(begun)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert not other.done()
    ended, returned = await ends_of(fleet, there, task.id, waiting, other)
    assert returned == ended
