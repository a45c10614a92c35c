"""Leases: when claims expire, how they are renewed, and how often a task is retried.

The tests move stored times into the past, and do not wait.
"""

import time
from typing import Any

import pytest

from converge_redis import AsyncTaskManager, ClaimLostError, Task, TaskState
from tests.support.backends import eventually
from tests.support.fleet import Fleet, names_of
from tests.tasks.support import nonzero_counts, read_task, task_in_state

LEASE = {"claim_ttl_sec": 1000}


async def task_with_expired_claim(
    fleet: Fleet, manager: AsyncTaskManager, state: str = "assigned", **fields: Any
) -> Task:
    """Submit a task whose claim by agent ``a`` has expired; no script has released it yet."""
    fields.setdefault("constraints", LEASE)
    task = await task_in_state(manager, state, **fields)
    fleet.past(task, "lease")
    return task


def lease_of(fleet: Fleet, task_id: str) -> float:
    """Return the stored end of a lease in Unix seconds."""
    names = names_of(fleet.namespaces["test"].keys, task_id)
    score = fleet.raw.zscore(names["leases"], task_id)
    assert score is not None
    return float(score) / 1e6


# Expired claims


@pytest.mark.parametrize("state", ["assigned", "running"])
@pytest.mark.parametrize("agent", ["a", "b"])
async def test_a_task_with_an_expired_claim_can_be_claimed(fleet: Fleet, state: str, agent: str) -> None:
    manager = fleet.manager()
    old = await task_with_expired_claim(fleet, manager, state)
    assert await manager.claim(agent, old.id) is True
    new = await read_task(manager, old.id)
    assert (new.assigned_to, new.attempts) == (agent, 2)
    assert new.claim_token != old.claim_token
    with pytest.raises(ClaimLostError):
        await manager.report("a", old.id, "stale", claim_token=old.claim_token)


async def test_claim_next_claims_a_task_with_an_expired_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    old = await task_with_expired_claim(fleet, manager)
    assert [task.id for task in await manager.claim_next("b")] == [old.id]


@pytest.mark.parametrize("reader", ["get_task", "get_tasks", "list", "counts", "explain", "list_claims"])
async def test_reads_return_a_task_with_an_expired_claim_as_pending(fleet: Fleet, reader: str) -> None:
    manager = fleet.manager()
    task = await task_with_expired_claim(fleet, manager)
    if reader == "get_task":
        assert (await read_task(manager, task.id)).state is TaskState.PENDING
    elif reader == "get_tasks":
        (found,) = await manager.get_tasks([task.id])
        assert found is not None
        assert found.state is TaskState.PENDING
    elif reader == "list":
        assert [found.id for found in await manager.list_pending_tasks()] == [task.id]
    elif reader == "counts":
        assert await nonzero_counts(manager) == {"pending": 1}
    elif reader == "explain":
        assert await manager.explain_claim("b", task.id) == []
    else:
        assert await manager.list_claims("a") == []


@pytest.mark.parametrize("method", ["report", "start", "release", "fail_task"])
async def test_the_holder_of_an_expired_claim_may_not_act(fleet: Fleet, method: str) -> None:
    manager = fleet.manager()
    task = await task_with_expired_claim(fleet, manager)
    for token in (None, task.claim_token):
        if method == "fail_task":
            call = manager.fail_task(task.id, "why", agent_id="a", claim_token=token)
        elif method == "report":
            call = manager.report("a", task.id, "late", claim_token=token)
        else:
            call = getattr(manager, method)("a", task.id, claim_token=token)
        with pytest.raises(ClaimLostError, match="not authorized"):
            await call
    assert await manager.extend_claim("a", task.id) is False
    assert (await read_task(manager, task.id)).state is TaskState.PENDING


async def test_release_expired_claims(fleet: Fleet) -> None:
    manager = fleet.manager()
    assert await manager.release_expired_claims() == []
    assigned, running = [
        await task_in_state(manager, state, constraints=LEASE) for state in ("assigned", "running")
    ]
    live = await task_in_state(manager, "assigned", constraints=LEASE)
    unlimited = await task_in_state(manager, "assigned")
    fleet.past(assigned, "lease")
    fleet.past(running, "lease")
    assert sorted(await manager.release_expired_claims()) == sorted([assigned.id, running.id])
    assert await manager.release_expired_claims() == []
    assert await nonzero_counts(manager) == {"pending": 2, "assigned": 2}
    assert {task.id for task in await manager.list_claims("a")} == {live.id, unlimited.id}
    assert (await read_task(manager, assigned.id)).attempts == 1


async def test_now_ts_of_release_expired_claims_is_a_monotonic_time(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned", constraints=LEASE)
    await task_in_state(manager, "assigned")
    for shift in (-1000, 0, 900):
        assert await manager.release_expired_claims(time.monotonic() + shift) == []
    assert await manager.release_expired_claims(now_ts=time.monotonic() + 1001) == [task.id]
    assert (await read_task(manager, task.id)).state is TaskState.PENDING


async def test_release_expired_claims_of_many_tasks_in_several_shards(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    ids = await manager.submit_many(Task(constraints=LEASE) for _ in range(450))
    claimed = await manager.claim_next("a", count=450)
    assert {task.id for task in claimed} == set(ids)
    assert sorted(await manager.release_expired_claims(time.monotonic() + 1001)) == sorted(ids)
    assert await nonzero_counts(manager) == {"pending": 450}


async def test_many_expired_claims_on_other_lanes_hide_no_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(pool_id="other", constraints=LEASE) for _ in range(60))
    for task in await manager.claim_next("a", count=60):
        fleet.past(task, "lease")
    own = await task_with_expired_claim(fleet, manager)
    names = names_of(fleet.namespaces["test"].keys, own.id)
    fleet.edit(own.id, lease="2")
    fleet.raw.zadd(names["leases"], {own.id: 2})  # the last of all leases
    assert [task.id for task in await manager.claim_next("b", pool_ids=[])] == [own.id]


# How long a lease is


async def test_extend_claim_renews_the_lease(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "running", constraints=LEASE)
    assert task.claimed_at is not None
    assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + 1000, abs=0.001)
    names = names_of(fleet.namespaces["test"].keys, task.id)
    soon = int((task.claimed_at + 100) * 1e6)
    fleet.edit(task.id, lease=str(soon))
    fleet.raw.zadd(names["leases"], {task.id: soon})
    assert await manager.extend_claim("a", task.id, claim_token=task.claim_token) is True
    assert lease_of(fleet, task.id) >= task.claimed_at + 1000
    assert (await read_task(manager, task.id)).state is TaskState.RUNNING


async def test_no_renewal_extends_a_lease_beyond_timeout_sec(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned", constraints={"claim_ttl_sec": 600, "timeout_sec": 1000})
    assert task.claimed_at is not None
    assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + 600, abs=0.001)
    claimed_at = task.claimed_at - 900
    fleet.edit(task.id, claimed=str(int(claimed_at * 1e6)))
    assert await manager.extend_claim("a", task.id) is True
    assert lease_of(fleet, task.id) == pytest.approx(claimed_at + 1000, abs=0.001)


async def test_timeout_sec_alone_is_a_lease(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned", constraints={"timeout_sec": 50})
    assert task.claimed_at is not None
    assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + 50, abs=0.001)
    assert await manager.release_expired_claims(time.monotonic() + 51) == [task.id]


async def test_claims_without_a_lease_never_expire(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned")
    assert lease_of(fleet, task.id) == float("inf")
    assert await manager.extend_claim("a", task.id) is True
    assert await manager.release_expired_claims(time.monotonic() + 1e8) == []


async def test_the_claim_ttl_of_the_store_is_the_default(fleet: Fleet) -> None:
    manager = fleet.manager(claim_ttl_sec=70)
    by_default = await task_in_state(manager, "assigned")
    own = await task_in_state(manager, "assigned", constraints={"claim_ttl_sec": 50})
    for task, ttl in ((by_default, 70), (own, 50)):
        assert task.claimed_at is not None
        assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + ttl, abs=0.001)


async def test_a_lease_ends_by_the_clock_of_the_server(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "assigned", constraints={"claim_ttl_sec": 0.02})

    async def is_pending() -> bool:
        return (await read_task(manager, task.id)).state is TaskState.PENDING

    assert await eventually(is_pending)


# Retries


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_a_task_fails_after_max_retries_expired_claims(fleet: Fleet, retries: int) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={**LEASE, "max_retries": retries}))
    claims = []
    for number in range(retries + 1):
        (claimed,) = await manager.claim_next(f"agent {number}")
        claims.append(claimed)
        fleet.past(task_id, "lease")
    assert await manager.claim_next("another") == []
    task = await read_task(manager, task_id)
    assert (task.state, task.attempts) == (TaskState.FAILED, retries + 1)
    assert task.result["reason"] == "max_retries"
    listed = [
        (lost["agent_id"], lost["claim_token"], lost["claimed_at"]) for lost in task.result["expired_claims"]
    ]
    assert listed == [(claim.assigned_to, claim.claim_token, claim.claimed_at) for claim in claims]
    assert await manager.release_expired_claims() == []


async def test_release_expired_claims_does_not_return_failed_tasks(fleet: Fleet) -> None:
    manager = fleet.manager()
    await task_with_expired_claim(fleet, manager, constraints={**LEASE, "max_retries": 0})
    assert await manager.release_expired_claims() == []
    assert await nonzero_counts(manager) == {"failed": 1}


async def test_a_released_claim_is_no_retry(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={**LEASE, "max_retries": 0}))
    for _ in range(3):
        assert await manager.claim("a", task_id)
        await manager.release("a", task_id)
    assert (await read_task(manager, task_id)).state is TaskState.PENDING


async def test_a_requeue_resets_the_expired_claims(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_with_expired_claim(fleet, manager, constraints={**LEASE, "max_retries": 0})
    assert (await read_task(manager, task.id)).state is TaskState.FAILED
    assert await manager.requeue_task(task.id) is True
    assert await manager.claim("b", task.id) is True
    fleet.past(task.id, "lease")
    failed = await read_task(manager, task.id)
    assert [lost["agent_id"] for lost in failed.result["expired_claims"]] == ["b"]


async def test_a_failed_task_lists_its_last_ten_expired_claims(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={**LEASE, "max_retries": 14}))
    for number in range(15):
        assert await manager.claim(f'agent "{number}"\n', task_id)
        fleet.past(task_id, "lease")
    task = await read_task(manager, task_id)
    assert task.state is TaskState.FAILED
    listed = [lost["agent_id"] for lost in task.result["expired_claims"]]
    assert listed == [f'agent "{number}"\n' for number in range(5, 15)]
