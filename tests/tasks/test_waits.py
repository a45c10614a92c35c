"""Waiting for tasks to end: wait_until_done, wait, wait_all, wait_any."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from converge_redis import AsyncTaskManager, StoreClosedError, Task, TaskState
from converge_redis.notifications import waiters
from tests.support.backends import TIMEOUT, async_until
from tests.support.fleet import Fleet, names_of
from tests.tasks.support import (
    LONG_WAIT,
    end_task,
    kill_subscription,
    read_task,
    start_claim,
    subscribe,
    task_in_state,
    until_places,
    until_unregistered,
    until_watched,
    within_timeout,
)

Wait = Callable[[AsyncTaskManager, str, float | None], Coroutine[Any, Any, Task | None]]


async def wait_all_of_one(manager: AsyncTaskManager, task_id: str, timeout: float | None) -> Task | None:
    (task,) = await manager.wait_all([task_id], timeout)
    return task


WAITS: dict[str, Wait] = {
    "wait_until_done": lambda manager, task_id, timeout: manager.wait_until_done(task_id, timeout),
    "wait": lambda manager, task_id, timeout: manager.wait(task_id, timeout),
    "wait_all": wait_all_of_one,
    "wait_any": lambda manager, task_id, timeout: manager.wait_any([task_id], timeout),
}


@pytest.fixture(params=WAITS)
def wait(request: pytest.FixtureRequest) -> Wait:
    return WAITS[request.param]


def ids_of(tasks: list[Task | None]) -> list[str | None]:
    return [task.id if task else None for task in tasks]


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
async def test_a_wait_returns_when_another_store_ends_the_task(fleet: Fleet, wait: Wait, state: str) -> None:
    here, there = fleet.manager(), fleet.manager()
    task_id = await here.submit(Task())
    waiting = asyncio.create_task(wait(here, task_id, LONG_WAIT))
    await until_watched(fleet, task_id)
    assert not waiting.done()
    await end_task(there, task_id, state)
    task = await within_timeout(waiting)
    assert task == await read_task(there, task_id)
    assert task is not None
    assert task.state == state


@pytest.mark.parametrize("timeout", [0, 0.05, LONG_WAIT, None])
@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
async def test_a_task_that_has_ended_is_returned_at_once(
    fleet: Fleet, wait: Wait, state: str, timeout: float | None
) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    await end_task(manager, task_id, state)
    task = await within_timeout(wait(manager, task_id, timeout))
    assert task is not None
    assert task.state == state


@pytest.mark.parametrize("timeout", [0, LONG_WAIT, None])
async def test_an_unknown_task_is_none_at_once(fleet: Fleet, wait: Wait, timeout: float | None) -> None:
    assert await within_timeout(wait(fleet.manager(), "unknown", timeout)) is None


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
@pytest.mark.parametrize("timeout", [0, 0.02])
async def test_a_wait_whose_time_is_up_returns_none(
    fleet: Fleet, wait: Wait, state: str, timeout: float
) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state)
    assert await wait(manager, task.id, timeout) is None
    assert await read_task(manager, task.id) == task


async def test_the_first_wait_of_a_store_reads_the_task_however_short_it_is(fleet: Fleet, wait: Wait) -> None:
    manager, other = fleet.manager(), fleet.manager()
    task_id = await other.submit(Task())
    await end_task(other, task_id, "completed")
    assert await wait(manager, task_id, 1e-6) is not None


async def test_a_task_that_used_up_its_retries_ends_the_wait(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned", constraints={"claim_ttl_sec": 1000, "max_retries": 0})
    waiting = asyncio.create_task(wait(manager, task.id, LONG_WAIT))
    await until_watched(fleet, task.id)
    fleet.past(task, "lease")
    await manager.release_expired_claims()
    ended = await within_timeout(waiting)
    assert ended is not None
    assert ended.result["reason"] == "max_retries"


async def test_a_requeued_task_can_be_waited_for_again(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "cancelled")
    assert await within_timeout(wait(manager, task.id, LONG_WAIT)) is not None
    await manager.requeue_task(task.id)
    assert await wait(manager, task.id, 0.02) is None
    waiting = asyncio.create_task(wait(manager, task.id, LONG_WAIT))
    await until_watched(fleet, task.id)
    await end_task(manager, task.id, "completed")
    ended = await within_timeout(waiting)
    assert ended is not None
    assert ended.state is TaskState.COMPLETED


async def test_wait_all_returns_when_all_tasks_have_ended(fleet: Fleet) -> None:
    manager, other = fleet.manager(shards=3), fleet.manager(shards=3)
    ids = await manager.submit_many(Task() for _ in range(40))
    waiting = asyncio.create_task(manager.wait_all([*ids, "unknown", ids[0]], LONG_WAIT))
    await until_watched(fleet, ids[-1])
    for task_id in reversed(ids):
        assert not waiting.done()
        await end_task(other, task_id, "cancelled")
    assert ids_of(await within_timeout(waiting)) == [*ids, None, ids[0]]


async def test_wait_all_whose_time_is_up_returns_the_tasks_that_have_ended(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(3))
    await end_task(manager, ids[1], "completed")
    assert ids_of(await manager.wait_all(ids, 0)) == [None, ids[1], None]
    await subscribe(fleet, manager)
    timeout = 1.0
    while ids_of(done := await manager.wait_all(ids, timeout)) != [None, ids[1], None]:
        assert ids_of(done) == [None, None, None]  # too little time for a busy machine
        assert timeout < TIMEOUT
        timeout *= 2
    assert await manager.wait_all([], LONG_WAIT) == []
    assert await manager.wait_any([], LONG_WAIT) is None


async def test_wait_any_returns_when_one_task_has_ended(fleet: Fleet) -> None:
    manager, other = fleet.manager(), fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(10))
    waiting = asyncio.create_task(manager.wait_any(["unknown", *ids], LONG_WAIT))
    for task_id in ids:
        await until_watched(fleet, task_id)
    await end_task(other, ids[6], "failed")
    task = await within_timeout(waiting)
    assert task is not None
    assert task.id == ids[6]
    await end_task(other, ids[3], "completed")
    for timeout in (0, LONG_WAIT):
        task = await within_timeout(manager.wait_any(["unknown", *ids], timeout))
        assert task is not None
        assert task.id in {ids[3], ids[6]}
    assert await within_timeout(manager.wait_any(["unknown", "unknown too"], None)) is None


async def test_all_waiters_of_one_task_get_it(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    waiting = [asyncio.create_task(wait(manager, task_id, LONG_WAIT)) for wait in [*WAITS.values()] * 2]
    await until_watched(fleet, task_id)
    await end_task(manager, task_id, "completed")
    assert ids_of(await within_timeout(asyncio.gather(*waiting))) == [task_id] * 8


async def test_a_wait_goes_on_when_the_time_of_another_is_up(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    waiting = asyncio.create_task(wait(manager, task_id, LONG_WAIT))
    await until_watched(fleet, task_id)
    assert await wait(manager, task_id, 0.02) is None
    await end_task(manager, task_id, "completed")
    assert await within_timeout(waiting) is not None


async def test_a_wait_that_begins_while_another_ends_misses_nothing(fleet: Fleet) -> None:
    """The listener is unregistered for the task, and registered again, while the task ends."""
    manager, other = fleet.manager(), fleet.manager()
    for _ in range(40):
        task_id = await manager.submit(Task())
        short = asyncio.create_task(manager.wait_until_done(task_id, 0.001))
        await asyncio.sleep(0)
        long = asyncio.create_task(manager.wait_until_done(task_id, LONG_WAIT))
        await asyncio.gather(short, end_task(other, task_id, "cancelled"))
        assert await within_timeout(long) is not None


async def test_no_listener_is_registered_after_the_waits(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    await wait(manager, task_id, 0.02)
    await end_task(manager, task_id, "completed")
    await within_timeout(wait(manager, task_id, LONG_WAIT))
    await until_unregistered(fleet, "watchers:")


async def test_a_cancelled_wait_unregisters_the_listener(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    for _ in range(5):
        waiting = asyncio.create_task(manager.wait_until_done(task_id, None))
        await until_watched(fleet, task_id)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until_unregistered(fleet, "watchers:")
    await end_task(manager, task_id, "completed")
    assert await within_timeout(manager.wait_until_done(task_id, LONG_WAIT)) is not None


async def test_close_ends_waits_and_claims(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task(topic="t") for _ in range(3))
    waiting = [asyncio.create_task(wait(manager, task_id, None)) for task_id in ids]
    first_claim = start_claim(manager, "a", (["p"], None, ["none"]))
    open_task = await manager.submit(Task())
    assert [task.id for task in await within_timeout(first_claim)] == [open_task]
    claim = start_claim(manager, "a", (["p"], None, ["none"]))
    await until_places(fleet, 1)
    for task_id in ids:
        await until_watched(fleet, task_id)
    await fleet.close_store(manager)
    for call in [*waiting, claim]:
        with pytest.raises(StoreClosedError):
            await within_timeout(call)
    with pytest.raises(StoreClosedError):
        await wait(manager, ids[0], 1)
    with pytest.raises(StoreClosedError):
        await manager.get_task(ids[0])


# Lost connections and messages


async def test_waits_outlive_a_killed_subscription(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager, other = fleet.manager(), fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(4))
    for task_id in ids:
        waiting = asyncio.create_task(manager.wait_until_done(task_id, LONG_WAIT))
        await until_watched(fleet, task_id)
        await kill_subscription(fleet.raw)
        await end_task(other, task_id, "completed")  # the message may be lost
        assert await within_timeout(waiting) is not None


@pytest.mark.parametrize(
    "real_fleet", ["async"], indirect=True
)  # blocking waits would need a thousand threads
async def test_a_thousand_waits_share_one_connection(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager, other = fleet.manager(), fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(1000))
    waiting = [asyncio.create_task(manager.wait_until_done(task_id, LONG_WAIT)) for task_id in ids]
    await until_watched(fleet, ids[-1])
    await async_until(lambda: len(fleet.raw.client_list(_type="pubsub")) == 1)
    for task_id in ids:
        await other.cancel_task(task_id)
    assert all(await within_timeout(asyncio.gather(*waiting)))


async def test_a_lost_message_is_made_up_for_while_other_waits_come_and_go(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiters, "REREAD_SECONDS", 1.0)
    manager = fleet.manager()
    await subscribe(fleet, manager)
    task_id = await manager.submit(Task())
    waiting = asyncio.create_task(manager.wait_until_done(task_id, LONG_WAIT))
    await until_watched(fleet, task_id)
    fleet.raw.delete(names_of(fleet.namespaces["test"].keys, task_id)["watchers"])
    await end_task(manager, task_id, "cancelled")
    deadline = asyncio.get_running_loop().time() + TIMEOUT
    while not waiting.done():
        assert asyncio.get_running_loop().time() < deadline
        await manager.wait_until_done(await manager.submit(Task()), 0.05)
    ended = await waiting
    assert ended is not None
    assert ended.state is TaskState.CANCELLED
