"""Submitting a task and waiting for its end by one call."""

import asyncio
import contextlib
import time

import pytest

from converge_redis import AsyncTaskManager, Task, TaskExistsError, TaskState
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet, names_of
from tests.tasks.test_states import read
from tests.tasks.test_waits import end, is_waiting
from tests.transport.test_lost_connections import held_bytes, paused


async def done_by(manager: AsyncTaskManager, agent: str) -> None:
    """Wait for one task, claim it, and report."""
    (task,) = await manager.claim_next(agent, wait=TIMEOUT)
    await manager.report(agent, task.id, {"by": agent}, claim_token=task.claim_token)


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_it_learns_of_the_end(fleet: Fleet, how: str) -> None:
    here, there = fleet.manager(), fleet.manager()
    await here.wait_any(["unknown"], TIMEOUT)  # the listener is there
    task = Task(objective="work")
    waiting = asyncio.create_task(here.submit_and_wait(task, TIMEOUT))
    await is_waiting(fleet, task.id)
    began = time.monotonic()
    await end(there, task.id, how)
    ended = await waiting
    assert time.monotonic() - began < TIMEOUT / 2  # told, and not only when the time was up
    assert ended == await read(there, task.id)
    assert ended is not None
    assert ended.state == how


async def test_the_first_call_of_a_store_is_told_too(fleet: Fleet) -> None:
    """Nothing is heard yet when the task is submitted."""
    for _ in range(5):
        here, there = fleet.manager(), fleet.manager()
        worker = asyncio.create_task(done_by(there, "a"))
        began = time.monotonic()
        ended = await here.submit_and_wait(Task(), TIMEOUT)
        assert time.monotonic() - began < TIMEOUT / 2
        assert ended is not None
        assert ended.result == {"by": "a"}
        await worker
        await fleet.close_store(here)
        await fleet.close_store(there)


async def test_many_at_once(fleet: Fleet) -> None:
    here, there = fleet.manager(), fleet.manager()

    async def work() -> None:
        while True:
            for task in await there.claim_next("a", count=10, wait=0.05):
                await there.report("a", task.id, task.inputs["number"])

    worker = asyncio.create_task(work())
    ended = await asyncio.gather(
        *[here.submit_and_wait(Task(inputs={"number": number}), TIMEOUT) for number in range(40)]
    )
    assert [task and task.result for task in ended] == list(range(40))
    worker.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await worker


async def test_the_time_is_up(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = Task()
    assert await manager.submit_and_wait(task, 0.02) is None
    assert (await read(manager, task.id)).state is TaskState.PENDING
    waiting = asyncio.create_task(manager.wait(task.id, TIMEOUT))
    await is_waiting(fleet, task.id)
    await end(manager, task.id, "completed")
    assert await waiting is not None


async def test_the_same_task_again_is_only_waited_for(fleet: Fleet) -> None:
    manager, other = fleet.manager(), fleet.manager()
    task = Task(inputs={"a": 1})
    await manager.submit(task)
    waiting = asyncio.create_task(manager.submit_and_wait(task, TIMEOUT))
    await is_waiting(fleet, task.id)
    await end(other, task.id, "completed")
    ended = await waiting
    assert ended is not None
    assert ended.result == "result"
    assert await manager.submit_and_wait(task, TIMEOUT) == ended  # it has ended already
    assert (await manager.counts())["completed"] == 1


async def test_another_task_under_the_id_is_refused(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(id="one", inputs={"a": 1}))
    with pytest.raises(TaskExistsError, match="'one'"):
        await manager.submit_and_wait(Task(id="one", inputs={"a": 2}), TIMEOUT)
    key = names_of(fleet.namespaces["test"].keys, "one")["watchers"]

    async def forgotten() -> bool:
        return not fleet.raw.exists(key)

    await eventually(forgotten)


async def test_a_deadline_ends_the_wait_though_nobody_touches_the_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    deadline = time.time() + 0.3
    ended = await manager.submit_and_wait(Task(constraints={"deadline": deadline}), TIMEOUT)
    assert ended is not None
    assert ended.state is TaskState.FAILED
    assert ended.result["reason"] == "deadline"


async def test_a_delayed_task(fleet: Fleet) -> None:
    here, there = fleet.manager(), fleet.manager()
    worker = asyncio.create_task(done_by(there, "a"))
    ended = await here.submit_and_wait(Task(), TIMEOUT, delay=0.1)
    assert ended is not None
    assert ended.claimed_at is not None
    assert ended.submitted_at is not None
    assert ended.claimed_at - ended.submitted_at >= 0.1
    await worker


async def test_cancelled_at_any_moment_it_leaves_nothing(fleet: Fleet) -> None:
    if fleet.style == "sync":
        return  # a thread cannot be cancelled
    manager = fleet.manager()
    await manager.wait_any(["unknown"], TIMEOUT)
    for turns in range(12):
        task = Task()
        waiting = asyncio.create_task(manager.submit_and_wait(task, TIMEOUT))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        key = names_of(fleet.namespaces["test"].keys, task.id)["watchers"]

        async def forgotten(key: str = key) -> bool:
            return not fleet.raw.exists(key)

        await manager.counts()  # what was under way has come
        await eventually(forgotten)


# Others wait for the same task, before it is there


async def test_a_wait_that_begins_with_it(fleet: Fleet) -> None:
    """At any moment: it learns of the end, or that the task is unknown yet; the one that submits is told."""
    here, there = fleet.manager(), fleet.manager()
    await here.wait_any(["unknown"], TIMEOUT)  # the listener is there
    for turns in range(10):
        task = Task()
        other = asyncio.create_task(here.wait(task.id, TIMEOUT))
        for _ in range(turns):
            await asyncio.sleep(0)
        waiting = asyncio.create_task(here.submit_and_wait(task, TIMEOUT))
        await is_waiting(fleet, task.id)
        began = time.monotonic()
        await end(there, task.id, "completed")
        ended, heard = await waiting, await other
        assert time.monotonic() - began < TIMEOUT / 2  # told, and not only when the time was up
        assert ended is not None
        assert ended.result == "result"
        if turns == 0 and fleet.style == "async":  # nothing was read before both were waiting
            assert heard == ended
        assert heard in (None, ended)


async def more_is_held(fleet: Fleet, than: int) -> None:
    """Return once the server holds back more bytes of calls."""

    async def is_held() -> bool:
        return held_bytes(fleet.raw) > than

    await eventually(is_held)


async def told_of_the_end(
    fleet: Fleet,
    manager: AsyncTaskManager,
    task_id: str,
    waiting: "asyncio.Task[Task | None]",
    other: "asyncio.Task[Task | None]",
) -> tuple[Task | None, Task | None]:
    """Complete a task; return what each learns of it, the first of which has to be told."""
    await is_waiting(fleet, task_id)
    began = time.monotonic()
    await end(manager, task_id, "completed")
    ended, heard = await waiting, await other
    assert time.monotonic() - began < TIMEOUT / 2
    assert ended is not None
    assert ended.result == "result"
    return ended, heard


async def test_a_wait_that_is_on_its_way_to_the_server(real_fleet: Fleet) -> None:
    """What it is told, that the task is unknown, is no answer to the one that submits."""
    fleet = real_fleet
    here, there = fleet.manager(), fleet.manager()
    await here.wait_any(["unknown"], TIMEOUT)
    await there.counts()
    task = Task()

    with paused(fleet.raw):
        before = held_bytes(fleet.raw)
        other = asyncio.create_task(here.wait(task.id, TIMEOUT))
        await more_is_held(fleet, before)
        before = held_bytes(fleet.raw)
        waiting = asyncio.create_task(here.submit_and_wait(task, TIMEOUT))
        await more_is_held(fleet, before)
    ended, heard = await told_of_the_end(fleet, there, task.id, waiting, other)
    assert heard in (None, ended)


@pytest.mark.parametrize("verb", ["wait", "submit_and_wait"])
async def test_one_that_begins_while_the_task_is_on_its_way(real_fleet: Fleet, verb: str) -> None:
    """Both learn of the end: the task is about to be there, so it is not unknown."""
    fleet = real_fleet
    here, there = fleet.manager(), fleet.manager()
    await here.wait_any(["unknown"], TIMEOUT)
    await there.counts()
    task = Task()
    with paused(fleet.raw):
        before = held_bytes(fleet.raw)
        waiting = asyncio.create_task(here.submit_and_wait(task, TIMEOUT))
        await more_is_held(fleet, before)
        begun = here.wait(task.id, TIMEOUT) if verb == "wait" else here.submit_and_wait(task, TIMEOUT)
        other = asyncio.create_task(begun)
        for _ in range(10):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert not other.done()
    ended, heard = await told_of_the_end(fleet, there, task.id, waiting, other)
    assert heard == ended
