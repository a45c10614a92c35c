"""Claims that need a delegation, which the claim's own script checks."""

import asyncio

import pytest

from converge_redis import (
    AsyncDelegationProtocol,
    AsyncPoolManager,
    AsyncTaskManager,
    DelegationProtocol,
    InvalidTypeError,
    InvalidValueError,
    NotAuthorizedError,
    PoolSpec,
    Task,
    TaskManager,
)
from tests.delegation.conftest import Expire
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet


@pytest.fixture
def tasks(fleet: Fleet) -> AsyncTaskManager:
    return fleet.protocol(TaskManager, AsyncTaskManager)


async def test_a_claim_needs_what_it_enforces(
    tasks: AsyncTaskManager, delegations: AsyncDelegationProtocol
) -> None:
    task_id = await tasks.submit(Task(objective="x"))
    for claim in (
        lambda: tasks.claim("helper", task_id, enforce="dig", on_behalf_of="boss"),
        lambda: tasks.claim_next("helper", enforce="dig", on_behalf_of="boss"),
    ):
        with pytest.raises(NotAuthorizedError, match="'dig' is not delegated to it by agent 'boss'"):
            await claim()
    made = await delegations.delegate("boss", "helper", ["dig", "drill"])
    with pytest.raises(NotAuthorizedError):
        await tasks.claim("helper", task_id, enforce=["dig", "blast"])
    with pytest.raises(NotAuthorizedError):
        await tasks.claim("helper", task_id, enforce="dig", on_behalf_of="somebody else")
    assert await tasks.claim("helper", task_id, enforce=["dig", "drill"], on_behalf_of="boss")
    assert await tasks.release("helper", task_id)
    (claimed,) = await tasks.claim_next("helper", enforce="dig")
    assert claimed.assigned_to == "helper"
    assert await tasks.release("helper", task_id)
    await delegations.revoke(made)
    with pytest.raises(NotAuthorizedError):
        await tasks.claim_next("helper", enforce="dig", wait=TIMEOUT)
    assert (await tasks.counts())["pending"] == 1
    assert await tasks.claim("helper", task_id), "without enforce nothing is needed"


async def test_chains_and_pools_count(
    tasks: AsyncTaskManager,
    delegations: AsyncDelegationProtocol,
    pools: AsyncPoolManager,
    expire: Expire,
) -> None:
    await pools.create_pool(PoolSpec(id="crew"))
    await pools.join_pool("member", "crew")
    first = await delegations.delegate("boss", "crew", "dig", delegation_type="pooled", expires_in_sec=1000)
    await delegations.delegate("member", "friend", parent=first)
    for agent, principal in (("member", "boss"), ("friend", "boss"), ("friend", "member")):
        task_id = await tasks.submit(Task(objective="x"))
        assert await tasks.claim(agent, task_id, enforce="dig", on_behalf_of=principal)
    expire(first)
    task_id = await tasks.submit(Task(objective="x"))
    for agent in ("member", "friend"):
        with pytest.raises(NotAuthorizedError):
            await tasks.claim(agent, task_id, enforce="dig")


async def test_one_that_waits_is_refused_when_the_grant_is_gone(
    fleet: Fleet, tasks: AsyncTaskManager, delegations: AsyncDelegationProtocol
) -> None:
    made = await delegations.delegate("boss", "helper", "dig")
    waits = asyncio.create_task(tasks.claim_next("helper", enforce="dig", wait=TIMEOUT))
    other = fleet.protocol(TaskManager, AsyncTaskManager)
    second = asyncio.create_task(other.claim_next("anybody", wait=TIMEOUT))
    await asyncio.sleep(0.2)
    await delegations.revoke(made)
    task_id = second_task = await tasks.submit(Task(objective="x"))
    if not second.done():
        second_task = await tasks.submit(Task(objective="y"))
    results = await asyncio.gather(waits, second, return_exceptions=True)
    assert isinstance(results[0], NotAuthorizedError)
    assert [task.id for task in results[1]] in ([task_id], [second_task])  # type: ignore[union-attr]


async def test_malformed_grants_are_refused(tasks: AsyncTaskManager) -> None:
    with pytest.raises(InvalidValueError, match="on_behalf_of needs a scope"):
        await tasks.claim("a", "b", on_behalf_of="c")
    with pytest.raises(InvalidValueError, match="enforce must name something"):
        await tasks.claim_next("a", enforce=[])
    with pytest.raises(InvalidTypeError, match="on_behalf_of"):
        await tasks.claim("a", "b", enforce="x", on_behalf_of=3)  # type: ignore[arg-type]


def test_both_styles_have_it() -> None:
    assert DelegationProtocol.delegate.__doc__ == AsyncDelegationProtocol.delegate.__doc__
