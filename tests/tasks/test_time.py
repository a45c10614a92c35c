"""What time does: leases, delays, deadlines and retention. The tests move stored times and do not wait."""

import datetime
import time
from typing import Any

import pytest

from converge_redis import AsyncTaskManager, ClaimLostError, NotAuthorizedError, Task, TaskState
from tests.support.backends import eventually
from tests.support.fleet import Fleet, names_of
from tests.tasks.test_states import brought_to, counted, read

LEASE = {"claim_ttl_sec": 1000}


async def expired(fleet: Fleet, manager: AsyncTaskManager, state: str = "assigned", **fields: Any) -> Task:
    """A task whose claim by agent ``a`` has expired, which nobody has noticed yet."""
    fields.setdefault("constraints", LEASE)
    task = await brought_to(manager, state, **fields)
    fleet.past(task, "lease")
    return task


def lease_of(fleet: Fleet, task_id: str) -> float:
    """The end of a lease in Unix seconds, as it is stored."""
    names = names_of(fleet.namespaces["test"].keys, task_id)
    score = fleet.raw.zscore(names["leases"], task_id)
    assert score is not None
    return float(score) / 1e6


# Leases


@pytest.mark.parametrize("state", ["assigned", "running"])
@pytest.mark.parametrize("agent", ["a", "b"])
async def test_an_expired_claim_counts_as_pending(fleet: Fleet, state: str, agent: str) -> None:
    manager = fleet.manager()
    old = await expired(fleet, manager, state)
    assert await manager.claim(agent, old.id) is True
    new = await read(manager, old.id)
    assert (new.assigned_to, new.attempts) == (agent, 2)
    assert new.claim_token != old.claim_token
    with pytest.raises(ClaimLostError):
        await manager.report("a", old.id, "stale", claim_token=old.claim_token)


async def test_claim_next_takes_an_expired_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    old = await expired(fleet, manager)
    assert [task.id for task in await manager.claim_next("b")] == [old.id]


@pytest.mark.parametrize("reader", ["get_task", "get_tasks", "list", "counts", "explain", "list_claims"])
async def test_readers_see_an_expired_claim_as_pending(fleet: Fleet, reader: str) -> None:
    manager = fleet.manager()
    task = await expired(fleet, manager)
    if reader == "get_task":
        assert (await read(manager, task.id)).state is TaskState.PENDING
    elif reader == "get_tasks":
        (found,) = await manager.get_tasks([task.id])
        assert found is not None
        assert found.state is TaskState.PENDING
    elif reader == "list":
        assert [found.id for found in await manager.list_pending_tasks()] == [task.id]
    elif reader == "counts":
        assert await counted(manager) == {"pending": 1}
    elif reader == "explain":
        assert await manager.explain_claim("b", task.id) == []
    else:
        assert await manager.list_claims("a") == []


@pytest.mark.parametrize("verb", ["report", "start", "release", "fail_task"])
async def test_the_holder_of_an_expired_claim_may_not_act(fleet: Fleet, verb: str) -> None:
    manager = fleet.manager()
    task = await expired(fleet, manager)
    for token in (None, task.claim_token):
        if verb == "fail_task":
            act = manager.fail_task(task.id, "why", agent_id="a", claim_token=token)
        elif verb == "report":
            act = manager.report("a", task.id, "late", claim_token=token)
        else:
            act = getattr(manager, verb)("a", task.id, claim_token=token)
        with pytest.raises(ClaimLostError, match="not authorized"):
            await act
    assert await manager.extend_claim("a", task.id) is False
    assert (await read(manager, task.id)).state is TaskState.PENDING


async def test_release_expired_claims(fleet: Fleet) -> None:
    manager = fleet.manager()
    assert await manager.release_expired_claims() == []
    assigned, running = [
        await brought_to(manager, state, constraints=LEASE) for state in ("assigned", "running")
    ]
    live = await brought_to(manager, "assigned", constraints=LEASE)
    endless = await brought_to(manager, "assigned")
    fleet.past(assigned, "lease")
    fleet.past(running, "lease")
    assert sorted(await manager.release_expired_claims()) == sorted([assigned.id, running.id])
    assert await manager.release_expired_claims() == []
    assert await counted(manager) == {"pending": 2, "assigned": 2}
    assert {task.id for task in await manager.list_claims("a")} == {live.id, endless.id}
    assert (await read(manager, assigned.id)).attempts == 1


async def test_release_expired_claims_reads_now_ts_on_the_monotonic_clock(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned", constraints=LEASE)
    await brought_to(manager, "assigned")
    for shift in (-1000, 0, 900):
        assert await manager.release_expired_claims(time.monotonic() + shift) == []
    assert await manager.release_expired_claims(now_ts=time.monotonic() + 1001) == [task.id]
    assert (await read(manager, task.id)).state is TaskState.PENDING


async def test_release_expired_claims_of_many_tasks_in_several_shards(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    ids = await manager.submit_many(Task(constraints=LEASE) for _ in range(450))
    claimed = await manager.claim_next("a", count=450)
    assert {task.id for task in claimed} == set(ids)
    assert sorted(await manager.release_expired_claims(time.monotonic() + 1001)) == sorted(ids)
    assert await counted(manager) == {"pending": 450}


async def test_extend_claim_renews_the_lease(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "running", constraints=LEASE)
    assert task.claimed_at is not None
    assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + 1000, abs=0.001)
    names = names_of(fleet.namespaces["test"].keys, task.id)
    soon = int((task.claimed_at + 100) * 1e6)
    fleet.edit(task.id, lease=str(soon))
    fleet.raw.zadd(names["leases"], {task.id: soon})
    assert await manager.extend_claim("a", task.id, claim_token=task.claim_token) is True
    assert lease_of(fleet, task.id) >= task.claimed_at + 1000
    assert (await read(manager, task.id)).state is TaskState.RUNNING


async def test_timeout_sec_ends_a_claim_whatever_the_renewals(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned", constraints={"claim_ttl_sec": 600, "timeout_sec": 1000})
    assert task.claimed_at is not None
    assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + 600, abs=0.001)
    begun = task.claimed_at - 900
    fleet.edit(task.id, claimed=str(int(begun * 1e6)))
    assert await manager.extend_claim("a", task.id) is True
    assert lease_of(fleet, task.id) == pytest.approx(begun + 1000, abs=0.001)


async def test_timeout_sec_alone_is_a_lease(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned", constraints={"timeout_sec": 50})
    assert task.claimed_at is not None
    assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + 50, abs=0.001)
    assert await manager.release_expired_claims(time.monotonic() + 51) == [task.id]


async def test_claims_without_a_lease_never_expire(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned")
    assert lease_of(fleet, task.id) == float("inf")
    assert await manager.extend_claim("a", task.id) is True
    assert await manager.release_expired_claims(time.monotonic() + 1e8) == []


async def test_the_stores_claim_ttl_is_the_default(fleet: Fleet) -> None:
    manager = fleet.manager(claim_ttl_sec=70)
    by_default = await brought_to(manager, "assigned")
    own = await brought_to(manager, "assigned", constraints={"claim_ttl_sec": 5})
    for task, ttl in ((by_default, 70), (own, 5)):
        assert task.claimed_at is not None
        assert lease_of(fleet, task.id) == pytest.approx(task.claimed_at + ttl, abs=0.001)


async def test_a_lease_ends_by_the_servers_clock(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "assigned", constraints={"claim_ttl_sec": 0.02})

    async def is_pending() -> bool:
        return (await read(manager, task.id)).state is TaskState.PENDING

    assert await eventually(is_pending)


# Retries


@pytest.mark.parametrize("retries", [0, 1, 3])
async def test_max_retries(fleet: Fleet, retries: int) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={**LEASE, "max_retries": retries}))
    claims = []
    for number in range(retries + 1):
        (claimed,) = await manager.claim_next(f"agent {number}")
        claims.append(claimed)
        fleet.past(task_id, "lease")
    assert await manager.claim_next("another") == []
    task = await read(manager, task_id)
    assert (task.state, task.attempts) == (TaskState.FAILED, retries + 1)
    assert task.result["reason"] == "max_retries"
    told = [
        (lost["agent_id"], lost["claim_token"], lost["claimed_at"]) for lost in task.result["expired_claims"]
    ]
    assert told == [(claim.assigned_to, claim.claim_token, claim.claimed_at) for claim in claims]
    assert await manager.release_expired_claims() == []


async def test_dead_letters_are_not_among_the_released(fleet: Fleet) -> None:
    manager = fleet.manager()
    await expired(fleet, manager, constraints={**LEASE, "max_retries": 0})
    assert await manager.release_expired_claims() == []
    assert await counted(manager) == {"failed": 1}


async def test_a_claim_that_was_given_back_is_no_retry(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={**LEASE, "max_retries": 0}))
    for _ in range(3):
        assert await manager.claim("a", task_id)
        await manager.release("a", task_id)
    assert (await read(manager, task_id)).state is TaskState.PENDING


async def test_requeue_forgets_expired_claims(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await expired(fleet, manager, constraints={**LEASE, "max_retries": 0})
    assert (await read(manager, task.id)).state is TaskState.FAILED
    assert await manager.requeue_task(task.id) is True
    assert await manager.claim("b", task.id) is True
    fleet.past(task.id, "lease")
    failed = await read(manager, task.id)
    assert [lost["agent_id"] for lost in failed.result["expired_claims"]] == ["b"]


async def test_the_reasons_that_are_kept_are_bounded(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={**LEASE, "max_retries": 14}))
    for number in range(15):
        assert await manager.claim(f'agent "{number}"\n', task_id)
        fleet.past(task_id, "lease")
    task = await read(manager, task_id)
    assert task.state is TaskState.FAILED
    kept = [lost["agent_id"] for lost in task.result["expired_claims"]]
    assert kept == [f'agent "{number}"\n' for number in range(5, 15)]


# Deadlines


@pytest.mark.parametrize("state", ["pending", "delayed", "assigned", "running"])
async def test_past_its_deadline_a_task_fails(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    before = await brought_to(manager, state, constraints={"deadline": time.time() + 1000})
    fleet.past(before, "deadline")
    task = await read(manager, before.id)
    assert (task.state, task.result["reason"]) == (TaskState.FAILED, "deadline")
    assert await manager.requeue_task(task.id) is False
    assert await manager.claim("b", task.id) is False
    if state in {"assigned", "running"}:
        with pytest.raises(NotAuthorizedError):
            await manager.report("a", task.id, "late")
        assert await manager.extend_claim("a", task.id) is False


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
async def test_a_deadline_does_not_touch_what_is_finished(fleet: Fleet, state: str) -> None:
    manager = fleet.manager()
    deadline = time.time() + 0.05
    task = await brought_to(manager, state, constraints={"deadline": deadline})
    assert task.state == state

    async def passed() -> bool:
        return time.time() > deadline

    await eventually(passed)
    await manager.claim_next("b")
    assert await read(manager, task.id) == task


@pytest.mark.parametrize(
    "deadline",
    [
        1,
        0,
        1.5,
        "2001-01-01T00:00:00Z",
        "2001-01-01T02:00:00+02:00",
        datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC),
    ],
)
async def test_deadlines_in_every_form(fleet: Fleet, deadline: Any) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={"deadline": deadline}))
    assert await manager.claim_next("a") == []
    assert (await read(manager, task_id)).state is TaskState.FAILED


@pytest.mark.parametrize("deadline", [4e9, "2200-01-01T00:00:00Z"])
async def test_requeue_before_the_deadline_keeps_it(fleet: Fleet, deadline: Any) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "failed", constraints={"deadline": deadline})
    assert await manager.requeue_task(task.id) is True
    fleet.past(task, "deadline")
    assert await manager.claim_next("a") == []
    assert (await read(manager, task.id)).result["reason"] == "deadline"


async def test_many_passed_deadlines_do_not_hide_work(fleet: Fleet) -> None:
    manager = fleet.manager()
    doomed = await manager.submit_many(
        Task(priority=1, constraints={"deadline": time.time() + 1000}) for _ in range(60)
    )
    good = await manager.submit(Task())
    for task_id in doomed:
        fleet.past(task_id, "deadline")
    assert [task.id for task in await manager.claim_next("a")] == [good]


async def test_many_expired_claims_of_others_do_not_hide_work(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(pool_id="other", constraints=LEASE) for _ in range(60))
    for task in await manager.claim_next("a", count=60):
        fleet.past(task, "lease")
    own = await expired(fleet, manager)
    names = names_of(fleet.namespaces["test"].keys, own.id)
    fleet.edit(own.id, lease="2")
    fleet.raw.zadd(names["leases"], {own.id: 2})  # behind all the others
    assert [task.id for task in await manager.claim_next("b", pool_ids=[])] == [own.id]


async def test_many_passed_deadlines_do_not_hold_up_a_waiting_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    doomed = await manager.submit_many(
        Task(priority=1, constraints={"deadline": time.time() + 1000}) for _ in range(100)
    )
    good = await manager.submit(Task())
    for task_id in doomed:
        fleet.past(task_id, "deadline")
    began = time.monotonic()
    assert [task.id for task in await manager.claim_next("a", wait=15)] == [good]
    assert time.monotonic() - began < 10  # not when the time was up


# Retention


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
@pytest.mark.parametrize("sweeper", ["claim", "claim_next", "counts", "list"])
async def test_a_finished_task_is_deleted_by_traffic(fleet: Fleet, state: str, sweeper: str) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, state, constraints={"retention_sec": 1000})
    other = await manager.submit(Task())
    fleet.past(task, "retention")
    if sweeper == "claim":
        assert await manager.claim("a", other)
    elif sweeper == "claim_next":
        assert await manager.claim_next("a")
    elif sweeper == "counts":
        assert state not in await counted(manager)
    else:
        assert await manager.list_pending_tasks()
    assert await manager.get_task(task.id) is None
    assert state not in await counted(manager)
    assert not [key for key in fleet.raw.keys("*") if task.id.encode() in key]


async def test_retention_by_default_and_by_store_and_by_task(fleet: Fleet) -> None:
    rows: list[tuple[dict[str, Any], dict[str, Any], int]] = [
        ({}, {}, 86400),
        ({"retention_sec": 5}, {}, 5),
        ({"retention_sec": 5}, {"retention_sec": 7}, 7),
        ({"retention_sec": 5}, {"retention_sec": 86400}, 86400),
    ]
    for options, constraints, seconds in rows:
        manager = fleet.manager(**options)
        task = await brought_to(manager, "failed", constraints=constraints)
        score = fleet.raw.zscore(names_of(fleet.namespaces["test"].keys, task.id)["finished"], task.id)
        assert task.finished_at is not None
        assert score is not None
        assert float(score) / 1e6 == pytest.approx(task.finished_at + seconds, abs=0.001)


async def test_no_retention(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(constraints={"retention_sec": 0}))
    await manager.cancel_task(task_id)
    assert await counted(manager) == {}
    assert await manager.get_task(task_id) is None


async def test_an_id_can_be_used_again_after_its_retention(fleet: Fleet) -> None:
    manager = fleet.manager()
    await brought_to(manager, "completed", id="again", constraints={"retention_sec": 0})
    await manager.counts()
    await manager.submit(Task(id="again", objective="another"))
    task = await read(manager, "again")
    assert (task.state, task.result, task.attempts) == (TaskState.PENDING, None, 0)


async def test_sweeping_is_bounded_but_goes_on(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task(constraints={"retention_sec": 0}) for _ in range(100))
    for task_id in ids:
        await manager.cancel_task(task_id)
    for _ in range(10):
        await manager.claim_next("a")
    assert await counted(manager) == {}
    assert {key for key in fleet.raw.keys("*") if b":t:" in key} == set()
