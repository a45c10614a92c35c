"""Claims that wait for a task: which events end the wait."""

import pytest

from converge_redis import Task
from tests.support.fleet import Fleet
from tests.tasks.support import (
    claimed_ids,
    kill_subscription,
    nonzero_counts,
    start_claim,
    task_in_state,
    until_places,
    within_timeout,
)


@pytest.mark.parametrize("shards", [1, 3])
async def test_a_waiting_claim_gets_a_task_that_is_submitted_later(fleet: Fleet, shards: int) -> None:
    claimer, submitter = fleet.manager(shards=shards), fleet.manager(shards=shards)
    claim = start_claim(claimer, "a", (["p"], ["c"], ["t"]), count=5)
    await until_places(fleet, shards)
    await submitter.submit(Task(pool_id="q"))
    await submitter.submit(Task(required_capabilities=["d"]))
    task_id = await submitter.submit(Task(pool_id="p", topic="t", required_capabilities=["c"]))
    assert await claimed_ids(claim) == [task_id]


@pytest.mark.parametrize("event", ["due", "lease expired", "released", "requeued"])
async def test_a_waiting_claim_gets_a_task_that_becomes_claimable(fleet: Fleet, event: str) -> None:
    claimer, other = fleet.manager(), fleet.manager()
    short_lease = {"claim_ttl_sec": 0.1}
    if event == "due":
        task_id = await other.submit(Task(constraints=short_lease), delay=0.1)
    elif event == "lease expired":
        task_id = (await task_in_state(other, "assigned", constraints=short_lease)).id
    elif event == "requeued":
        task_id = (await task_in_state(other, "cancelled", constraints=short_lease)).id
    else:
        task_id = (await task_in_state(other, "assigned")).id
    claim = start_claim(claimer, "b")
    if event in {"released", "requeued"}:
        await until_places(fleet, 1)
        assert await (other.release("a", task_id) if event == "released" else other.requeue_task(task_id))
    assert await claimed_ids(claim) == [task_id]


async def test_a_waiting_claim_whose_time_is_up_returns_nothing(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(topic="other"))
    assert await manager.claim_next("a", topics=[], wait=0.05) == []


async def test_ten_waiting_claims_get_ten_tasks(fleet: Fleet) -> None:
    claimers, submitter = [fleet.manager() for _ in range(3)], fleet.manager()
    claims = [start_claim(claimers[number % 3], f"agent {number}") for number in range(10)]
    await until_places(fleet, 10)
    ids = [await submitter.submit(Task()) for _ in range(10)]
    assert sorted(await claimed_ids(*claims)) == sorted(ids)
    assert await nonzero_counts(submitter) == {"assigned": 10}


async def test_a_waiting_claim_gets_its_task_behind_many_passed_deadlines(fleet: Fleet) -> None:
    manager = fleet.manager()
    doomed = await manager.submit_many(Task(priority=1, constraints={"deadline": 4e9}) for _ in range(100))
    good = await manager.submit(Task())
    for task_id in doomed:
        fleet.past(task_id, "deadline")
    assert await claimed_ids(start_claim(manager, "a")) == [good]


async def test_a_waiting_claim_outlives_a_killed_subscription(real_fleet: Fleet) -> None:
    fleet = real_fleet
    claimer, submitter = fleet.manager(), fleet.manager()
    for _ in range(4):
        claim = start_claim(claimer, "a")
        await until_places(fleet, 1)
        await kill_subscription(fleet.raw)
        task_id = await submitter.submit(Task())
        assert await claimed_ids(claim) == [task_id]


async def test_calls_outlive_killed_connections(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager = fleet.manager()
    for number in range(5):
        await manager.submit(Task(id=f"{number}"))
        fleet.raw.client_kill_filter(_type="normal", skipme=True)
        assert [task.id for task in await within_timeout(manager.claim_next("a"))] == [f"{number}"]
        fleet.raw.client_kill_filter(_type="normal", skipme=True)
        assert await manager.report("a", f"{number}", number) is True
    assert await nonzero_counts(manager) == {"completed": 5}
