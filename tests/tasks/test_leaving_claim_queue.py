"""Claimers that stop waiting: their places go, and the tasks that woke them go to other claimers."""

import asyncio
import random

import pytest

from converge_redis import StoreClosedError, Task
from tests.support.backends import eventually
from tests.support.fleet import Fleet
from tests.tasks.support import (
    ASYNC_ONLY,
    QUEUE_KINDS,
    claimed_ids,
    listener_keys,
    nonzero_counts,
    places,
    read_task,
    start_claim,
    subscribe,
    until_places,
    until_unregistered,
    until_watched,
    within_timeout,
)


@ASYNC_ONLY
async def test_a_claim_that_is_cancelled_when_it_is_woken_leaves_the_task_to_another(fleet: Fleet) -> None:
    first, second, submitter = fleet.manager(), fleet.manager(), fleet.manager()
    for turns in range(16):
        cancelled = start_claim(first, "first")
        await until_places(fleet, 1)
        other = start_claim(second, "second")
        await until_places(fleet, 2)
        task_id = await submitter.submit(Task())
        for _ in range(turns):
            await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.wait([cancelled])

        async def is_claimed() -> bool:
            # The claim script of "first" may have run before the cancellation: then the task is claimed.
            return other.done() or (await read_task(submitter, task_id)).assigned_to == "first"  # noqa: B023

        await eventually(is_claimed)
        if not other.done():
            await submitter.release("first", task_id)
        assert await claimed_ids(other) == [task_id]


@ASYNC_ONLY
async def test_a_cancelled_claim_leaves_the_queue_at_any_moment(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    await subscribe(fleet, manager)
    for turns in range(40):
        claim = start_claim(manager, "a")
        for _ in range(turns):
            await asyncio.sleep(0)
        claim.cancel()
        await asyncio.wait([claim])
        await until_unregistered(fleet, *QUEUE_KINDS)


@ASYNC_ONLY
async def test_a_cancelled_claim_takes_no_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    claim = start_claim(manager, "a")
    await until_places(fleet, 1)
    claim.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claim
    await manager.submit(Task())
    assert await nonzero_counts(manager) == {"pending": 1}


async def test_a_claim_whose_time_is_up_leaves_the_queue(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    await subscribe(fleet, manager)
    assert await manager.claim_next("a", ["p"], ["c"], ["t"], wait=0.05) == []
    await until_unregistered(fleet, *QUEUE_KINDS)
    await fleet.close_store(manager)
    assert not listener_keys(fleet)


async def test_a_closed_store_leaves_no_key_behind(fleet: Fleet) -> None:
    manager, other = fleet.manager(shards=3), fleet.manager(shards=3)
    claims = [start_claim(manager, f"{number}", (None, None, [f"{number % 2}"])) for number in range(4)]
    other_claim = start_claim(other, "other")
    await until_places(fleet, 15)
    task_id = await other.submit(Task(topic="neither 0 nor 1", pool_id="p"), delay=1000)
    ending = asyncio.create_task(manager.wait_until_done(task_id, None))
    await until_watched(fleet, task_id)
    await fleet.close_store(manager)
    for call in [*claims, ending]:
        with pytest.raises(StoreClosedError):
            await within_timeout(call)
    assert len(places(fleet)) == 3
    assert len({place for _, place in places(fleet)}) == 1  # the other store's, in each shard
    assert not listener_keys(fleet, "watchers:")
    await fleet.close_store(other)
    with pytest.raises(StoreClosedError):
        await within_timeout(other_claim)
    assert not listener_keys(fleet)


async def test_close_ends_a_waiting_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    claim = start_claim(manager, "a")
    await until_places(fleet, 1)
    await fleet.close_store(manager)
    with pytest.raises(StoreClosedError):
        await within_timeout(claim)


def let_a_minute_pass(fleet: Fleet) -> None:
    """Let the registrations of listeners lie a minute further in the past."""
    listeners: list[bytes] = fleet.raw.zrange("{test:0}:listeners", 0, -1)  # type: ignore[assignment]
    for listener in listeners:
        fleet.raw.zincrby("{test:0}:listeners", -60e6, listener)
    for key in fleet.raw.scan_iter("{test:0}:profile:*"):
        fleet.raw.pexpire(key, fleet.raw.pttl(key) - 60_000)


async def test_a_registration_drops_those_that_were_not_renewed(fleet: Fleet) -> None:
    manager = fleet.manager()
    first = start_claim(manager, "a")
    await until_places(fleet, 1)
    [(queue, _)] = places(fleet)
    fleet.raw.zadd(queue, {f"dead {number}": 1000 for number in range(10)})
    fleet.raw.zadd("{test:0}:listeners", {"dead": 1000})
    let_a_minute_pass(fleet)
    second = start_claim(manager, "b")
    await until_places(fleet, 2)
    assert len(fleet.raw.zrange("{test:0}:listeners", 0, -1)) == 1
    await manager.submit_many([Task(), Task()])
    await claimed_ids(first, second)


async def test_claims_with_little_time_lose_no_task(fleet: Fleet) -> None:
    managers, submitter = [fleet.manager(shards=2) for _ in range(2)], fleet.manager(shards=2)
    chance = random.Random(5)
    claimed: list[str] = []
    submitted = asyncio.Event()

    async def keep_claiming(number: int) -> None:
        while not submitted.is_set():
            wait = chance.uniform(0.001, 0.02)
            tasks = await managers[number % 2].claim_next(f"{number}", wait=wait, count=2)
            claimed.extend(task.id for task in tasks)

    claimers = [asyncio.create_task(keep_claiming(number)) for number in range(6)]
    ids = []
    for _ in range(40):
        ids += await submitter.submit_many(Task() for _ in range(chance.randint(1, 3)))
        await asyncio.sleep(chance.uniform(0, 0.004))
    submitted.set()
    await asyncio.gather(*claimers)
    pending = await submitter.list_pending_tasks()
    assert sorted(ids) == sorted([*claimed, *(task.id for task in pending)])  # each once
    assert await nonzero_counts(submitter) == {
        state: number
        for state, number in {"assigned": len(claimed), "pending": len(pending)}.items()
        if number
    }
    late = [start_claim(managers[0], "late") for _ in pending]
    assert sorted(await claimed_ids(*late)) == sorted(task.id for task in pending)
    await until_unregistered(fleet, *QUEUE_KINDS)
