"""Waiting for tasks to end, and for tasks to come: by push, and never for ever."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from converge_redis import AsyncTaskManager, StoreClosedError, Task, TaskState
from converge_redis.notifications import waiters as waits
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet, names_of
from tests.tasks.test_states import brought_to, counted, read

Wait = Callable[[AsyncTaskManager, str, float | None], Coroutine[Any, Any, Task | None]]


async def one_of_all(manager: AsyncTaskManager, task_id: str, timeout: float | None) -> Task | None:
    (task,) = await manager.wait_all([task_id], timeout)
    return task


WAITS: dict[str, Wait] = {
    "wait_until_done": lambda manager, task_id, timeout: manager.wait_until_done(task_id, timeout),
    "wait": lambda manager, task_id, timeout: manager.wait(task_id, timeout),
    "wait_all": one_of_all,
    "wait_any": lambda manager, task_id, timeout: manager.wait_any([task_id], timeout),
}


@pytest.fixture(params=WAITS)
def wait(request: pytest.FixtureRequest) -> Wait:
    return WAITS[request.param]


async def is_waiting(fleet: Fleet, task_id: str) -> None:
    """Return once somebody is to be told of the end of a task."""
    key = names_of(fleet.namespaces["test"].keys, task_id)["watchers"]

    async def watched() -> bool:
        return bool(fleet.raw.exists(key))

    await eventually(watched)


async def end(manager: AsyncTaskManager, task_id: str, how: str) -> None:
    if how == "completed":
        assert await manager.claim("a", task_id)
        assert await manager.report("a", task_id, "result")
    elif how == "failed":
        assert await manager.fail_task(task_id, "reason")
    else:
        assert await manager.cancel_task(task_id)


@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_a_waiter_learns_of_the_end_from_another_store(fleet: Fleet, wait: Wait, how: str) -> None:
    here, there = fleet.manager(), fleet.manager()
    task_id = await here.submit(Task())
    waiting = asyncio.create_task(wait(here, task_id, TIMEOUT))
    await is_waiting(fleet, task_id)
    assert not waiting.done()
    await end(there, task_id, how)
    began = time.monotonic()
    task = await waiting
    assert time.monotonic() - began < TIMEOUT / 2  # told, and not only when the time was up
    assert task == await read(there, task_id)
    assert task is not None
    assert task.state == how


@pytest.mark.parametrize("timeout", [0, 0.05, 5, None])
@pytest.mark.parametrize("how", ["completed", "failed", "cancelled"])
async def test_what_has_ended_already_is_returned_at_once(
    fleet: Fleet, wait: Wait, how: str, timeout: float | None
) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    await end(manager, task_id, how)
    if timeout == 0.05:  # a short one is no reason to miss what is so
        await wait(manager, task_id, 5)
    task = await wait(manager, task_id, timeout)
    assert task is not None
    assert task.state == how


@pytest.mark.parametrize("timeout", [0, 5, None])
async def test_an_unknown_task_is_none_at_once(fleet: Fleet, wait: Wait, timeout: float | None) -> None:
    began = time.monotonic()
    assert await wait(fleet.manager(), "unknown", timeout) is None
    assert time.monotonic() - began < 4


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
@pytest.mark.parametrize("timeout", [0, 0.02])
async def test_time_out(fleet: Fleet, wait: Wait, state: str, timeout: float) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, state)
    assert await wait(manager, task.id, timeout) is None
    assert await read(manager, task.id) == task


async def test_the_first_wait_of_a_store_with_little_time_reads_the_state(fleet: Fleet, wait: Wait) -> None:
    """A time-out says "not ended", and never "not looked"."""
    manager, other = fleet.manager(), fleet.manager()
    task_id = await other.submit(Task())
    await end(other, task_id, "completed")
    assert await wait(manager, task_id, 1e-6) is not None


async def test_a_task_that_failed_by_the_rules_ends_the_wait(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned", constraints={"claim_ttl_sec": 1000, "max_retries": 0})
    waiting = asyncio.create_task(wait(manager, task.id, TIMEOUT))
    await is_waiting(fleet, task.id)
    fleet.past(task, "lease")
    await manager.release_expired_claims()
    ended = await waiting
    assert ended is not None
    assert ended.result["reason"] == "max_retries"


async def test_a_requeued_task_is_waited_for_again(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "cancelled")
    assert await wait(manager, task.id, 5) is not None
    await manager.requeue_task(task.id)
    assert await wait(manager, task.id, 0.02) is None
    waiting = asyncio.create_task(wait(manager, task.id, TIMEOUT))
    await is_waiting(fleet, task.id)
    await end(manager, task.id, "completed")
    ended = await waiting
    assert ended is not None
    assert ended.state is TaskState.COMPLETED


async def test_wait_all(fleet: Fleet) -> None:
    manager, other = fleet.manager(shards=3), fleet.manager(shards=3)
    ids = await manager.submit_many(Task() for _ in range(40))
    waiting = asyncio.create_task(manager.wait_all([*ids, "unknown", ids[0]], TIMEOUT))
    await is_waiting(fleet, ids[-1])
    for task_id in reversed(ids):
        assert not waiting.done()
        await end(other, task_id, "cancelled")
    done = await waiting
    assert [task.id if task else None for task in done] == [*ids, None, ids[0]]


async def test_wait_all_out_of_time_tells_what_has_ended(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(3))
    await end(manager, ids[1], "completed")
    for timeout in (0, 1.0):
        done = await manager.wait_all(ids, timeout)
        assert [task.id if task else None for task in done] == [None, ids[1], None]
    assert await manager.wait_all([], 5) == []
    assert await manager.wait_any([], 5) is None


async def test_wait_any(fleet: Fleet) -> None:
    manager, other = fleet.manager(), fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(10))
    waiting = asyncio.create_task(manager.wait_any(["unknown", *ids], TIMEOUT))
    for task_id in ids:
        await is_waiting(fleet, task_id)
    await end(other, ids[6], "failed")
    task = await waiting
    assert task is not None
    assert task.id == ids[6]
    await end(other, ids[3], "completed")
    for timeout in (0, 5):
        task = await manager.wait_any(["unknown", *ids], timeout)
        assert task is not None
        assert task.id in {ids[3], ids[6]}
    assert await manager.wait_any(["unknown", "unknown too"], None) is None


async def test_many_waiters_for_one_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    waiting = [asyncio.create_task(wait(manager, task_id, TIMEOUT)) for wait in [*WAITS.values()] * 2]
    await is_waiting(fleet, task_id)
    await end(manager, task_id, "completed")
    tasks = await asyncio.gather(*waiting)
    assert [task.id if task else None for task in tasks] == [task_id] * 8


async def test_a_wait_beside_one_that_is_out_of_time(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    waiting = asyncio.create_task(wait(manager, task_id, TIMEOUT))
    await is_waiting(fleet, task_id)
    assert await wait(manager, task_id, 0.02) is None
    await end(manager, task_id, "completed")
    assert await waiting is not None


async def test_waits_that_end_while_others_begin(fleet: Fleet) -> None:
    """The channel of a task is left and entered again and again; no end may be missed."""
    manager, other = fleet.manager(), fleet.manager()
    for _ in range(40):
        task_id = await manager.submit(Task())
        short = asyncio.create_task(manager.wait_until_done(task_id, 0.001))
        await asyncio.sleep(0)
        long = asyncio.create_task(manager.wait_until_done(task_id, TIMEOUT))
        ending = asyncio.create_task(end(other, task_id, "cancelled"))
        await asyncio.gather(short, ending)
        began = time.monotonic()
        assert await long is not None
        assert time.monotonic() - began < TIMEOUT / 2


async def test_nothing_is_subscribed_after_the_waits(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    await wait(manager, task_id, 0.02)
    await end(manager, task_id, "completed")
    await wait(manager, task_id, 5)

    async def quiet() -> bool:
        return not fleet.raw.keys("*:watchers:*")

    await eventually(quiet)


async def test_a_cancelled_waiter_leaves_nothing(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    for _ in range(5):
        waiting = asyncio.create_task(manager.wait_until_done(task_id, None))
        await is_waiting(fleet, task_id)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        async def quiet() -> bool:
            return not fleet.raw.keys("*:watchers:*")

        await eventually(quiet)
    await end(manager, task_id, "completed")
    assert await manager.wait_until_done(task_id, 5) is not None


async def test_close_ends_waits(fleet: Fleet, wait: Wait) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(3))
    waiting = [asyncio.create_task(wait(manager, task_id, None)) for task_id in ids]
    claiming = asyncio.create_task(manager.claim_next("a", pool_ids=["p"], topics=["none"], wait=TIMEOUT))
    await manager.submit(Task())  # so that the claim below has what it may have, once
    for task_id in ids:
        await is_waiting(fleet, task_id)
    await asyncio.wait([claiming], timeout=0.05)
    await fleet.close_store(manager)
    for task in waiting:
        with pytest.raises(StoreClosedError):
            await asyncio.wait_for(task, TIMEOUT)
    assert claiming.done() or isinstance(await settled(claiming), StoreClosedError)
    with pytest.raises(StoreClosedError):
        await wait(manager, ids[0], 1)
    with pytest.raises(StoreClosedError):
        await manager.get_task(ids[0])


async def settled(task: "asyncio.Task[Any]") -> BaseException | None:
    await asyncio.wait([task], timeout=TIMEOUT)
    return task.exception()


async def test_close_ends_a_waiting_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    claiming = asyncio.create_task(manager.claim_next("a", wait=1000))
    await work_is_heard(fleet)
    await fleet.close_store(manager)
    assert isinstance(await settled(claiming), StoreClosedError)


async def work_is_heard(fleet: Fleet) -> None:
    """Return once somebody waits for work."""

    async def queued() -> bool:
        return bool(fleet.raw.keys("*:waiting:*"))

    await eventually(queued)


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_waiting_claim_gets_a_task_that_is_submitted_later(fleet: Fleet, shards: int) -> None:
    claimer, submitter = fleet.manager(shards=shards), fleet.manager(shards=shards)
    claiming = asyncio.create_task(claimer.claim_next("a", ["p"], ["c"], ["t"], count=5, wait=TIMEOUT))
    await work_is_heard(fleet)
    await submitter.submit(Task(pool_id="q"))
    await submitter.submit(Task(required_capabilities=["d"]))
    task_id = await submitter.submit(Task(pool_id="p", topic="t", required_capabilities=["c"]))
    began = time.monotonic()
    assert [task.id for task in await claiming] == [task_id]
    assert time.monotonic() - began < TIMEOUT / 2


@pytest.mark.parametrize("how", ["delayed", "expired", "released", "requeued"])
async def test_a_waiting_claim_gets_a_task_that_becomes_free(fleet: Fleet, how: str) -> None:
    claimer, other = fleet.manager(), fleet.manager()
    task = Task(constraints={"claim_ttl_sec": 0.1})
    if how == "delayed":
        await other.submit(task, delay=0.1)
    elif how == "expired":
        await brought_to(other, "assigned", **task.model_dump(exclude={"state"}))
    elif how == "requeued":
        await brought_to(other, "cancelled", **task.model_dump(exclude={"state"}))
    else:
        task = await brought_to(other, "assigned")
    claiming = asyncio.create_task(claimer.claim_next("b", wait=TIMEOUT))
    if how in {"released", "requeued"}:
        await work_is_heard(fleet)
        assert await (other.release("a", task.id) if how == "released" else other.requeue_task(task.id))
    began = time.monotonic()
    assert [claimed.id for claimed in await claiming] == [task.id]
    assert time.monotonic() - began < TIMEOUT / 2


async def test_a_waiting_claim_out_of_time(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(topic="other"))
    assert await manager.claim_next("a", topics=[], wait=0.05) == []


async def test_ten_claimers_wait_for_ten_tasks(fleet: Fleet) -> None:
    claimers, submitter = [fleet.manager() for _ in range(3)], fleet.manager()
    claiming = [
        asyncio.create_task(claimers[number % 3].claim_next(f"agent {number}", wait=TIMEOUT))
        for number in range(10)
    ]
    await work_is_heard(fleet)
    ids = [await submitter.submit(Task()) for _ in range(10)]
    claimed = await asyncio.gather(*claiming)
    assert sorted(task.id for tasks in claimed for task in tasks) == sorted(ids)
    assert await counted(submitter) == {"assigned": 10}


async def test_a_cancelled_claim_that_waits_takes_nothing(fleet: Fleet) -> None:
    if fleet.style == "sync":
        return  # a thread cannot be cancelled
    manager = fleet.manager()
    claiming = asyncio.create_task(manager.claim_next("a", wait=1000))
    await work_is_heard(fleet)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    await manager.submit(Task())
    assert await counted(manager) == {"pending": 1}


# Lost connections; on the real server


async def test_waits_outlive_a_killed_subscription(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager, other = fleet.manager(), fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(4))
    for task_id in ids:
        waiting = asyncio.create_task(manager.wait_until_done(task_id, TIMEOUT))
        await is_waiting(fleet, task_id)
        assert fleet.raw.client_kill_filter(_type="pubsub") >= 1
        await end(other, task_id, "completed")  # perhaps while nobody listens
        began = time.monotonic()
        assert await waiting is not None
        assert time.monotonic() - began < TIMEOUT / 2


async def test_a_waiting_claim_outlives_a_killed_subscription(real_fleet: Fleet) -> None:
    fleet = real_fleet
    claimer, submitter = fleet.manager(), fleet.manager()
    for _ in range(4):
        claiming = asyncio.create_task(claimer.claim_next("a", wait=TIMEOUT))
        await work_is_heard(fleet)
        assert fleet.raw.client_kill_filter(_type="pubsub") >= 1
        task_id = await submitter.submit(Task())
        began = time.monotonic()
        assert [task.id for task in await claiming] == [task_id]
        assert time.monotonic() - began < TIMEOUT / 2


async def test_calls_outlive_killed_connections(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager = fleet.manager()
    for number in range(5):
        await manager.submit(Task(id=f"{number}"))
        fleet.raw.client_kill_filter(_type="normal", skipme=True)
        assert [task.id for task in await manager.claim_next("a")] == [f"{number}"]
        fleet.raw.client_kill_filter(_type="normal", skipme=True)
        assert await manager.report("a", f"{number}", number) is True
    assert await counted(manager) == {"completed": 5}


async def test_a_thousand_waits_are_one_connection(real_fleet: Fleet) -> None:
    fleet = real_fleet
    if fleet.style == "sync":
        return  # a thousand threads are no way to wait; wait_all does it
    manager, other = fleet.manager(), fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(1000))
    waiting = [asyncio.create_task(manager.wait_until_done(task_id, TIMEOUT)) for task_id in ids]
    await is_waiting(fleet, ids[-1])

    async def one_listens() -> bool:
        return len(fleet.raw.client_list(_type="pubsub")) == 1

    await eventually(one_listens)
    for task_id in ids:
        await other.cancel_task(task_id)
    assert all(await asyncio.gather(*waiting))


async def test_the_last_resort_comes_also_where_others_wait_all_the_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message is lost; other waits keep the reading loop busy."""
    monkeypatch.setattr(waits, "REREAD_SECONDS", 1.0)
    manager = fleet.manager()
    task_id = await manager.submit(Task())
    waiting = asyncio.create_task(manager.wait_until_done(task_id, TIMEOUT))
    await is_waiting(fleet, task_id)
    fleet.raw.delete(names_of(fleet.namespaces["test"].keys, task_id)["watchers"])
    await end(manager, task_id, "cancelled")
    while not waiting.done():
        await manager.wait_until_done(await manager.submit(Task()), 0.05)
    ended = await waiting
    assert ended is not None
    assert ended.state is TaskState.CANCELLED
