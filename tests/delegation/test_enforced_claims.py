"""Claims with `enforce`: the claim script checks that the agent has a delegation."""

import asyncio
from typing import Any

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
from tests.support.backends import TIMEOUT, async_until
from tests.support.fleet import Fleet


@pytest.fixture
def tasks(fleet: Fleet) -> AsyncTaskManager:
    return fleet.protocol(TaskManager, AsyncTaskManager)


async def test_an_enforced_claim_needs_a_delegation_of_all_scopes(
    tasks: AsyncTaskManager, delegations: AsyncDelegationProtocol
) -> None:
    task_id = await tasks.submit(Task(objective="x"))
    for claim in (
        lambda: tasks.claim("helper", task_id, enforce="dig", on_behalf_of="boss"),
        lambda: tasks.claim_next("helper", enforce="dig", on_behalf_of="boss"),
    ):
        with pytest.raises(NotAuthorizedError, match="'dig' is not delegated to it by agent 'boss'"):
            await claim()
    delegation_id = await delegations.delegate("boss", "helper", ["dig", "drill"])
    with pytest.raises(NotAuthorizedError):
        await tasks.claim("helper", task_id, enforce=["dig", "blast"])
    with pytest.raises(NotAuthorizedError):
        await tasks.claim("helper", task_id, enforce="dig", on_behalf_of="another boss")
    assert await tasks.claim("helper", task_id, enforce=["dig", "drill"], on_behalf_of="boss")
    assert await tasks.release("helper", task_id)
    (claimed,) = await tasks.claim_next("helper", enforce="dig")
    assert claimed.assigned_to == "helper"
    assert await tasks.release("helper", task_id)
    await delegations.revoke(delegation_id)
    with pytest.raises(NotAuthorizedError):
        await tasks.claim_next("helper", enforce="dig", wait=TIMEOUT)
    assert (await tasks.counts())["pending"] == 1
    assert await tasks.claim("helper", task_id), "without enforce no delegation is needed"


async def test_chains_and_delegations_to_pools_authorize_claims(
    tasks: AsyncTaskManager,
    delegations: AsyncDelegationProtocol,
    pools: AsyncPoolManager,
    expire: Expire,
) -> None:
    await pools.create_pool(PoolSpec(id="diggers"))
    await pools.join_pool("member", "diggers")
    root = await delegations.delegate("boss", "diggers", "dig", delegation_type="pooled", expires_in_sec=1000)
    await delegations.delegate("member", "friend", parent=root)
    for agent, principal in (("member", "boss"), ("friend", "boss"), ("friend", "member")):
        task_id = await tasks.submit(Task(objective="x"))
        assert await tasks.claim(agent, task_id, enforce="dig", on_behalf_of=principal)
    expire(root)
    task_id = await tasks.submit(Task(objective="x"))
    for agent in ("member", "friend"):
        with pytest.raises(NotAuthorizedError):
            await tasks.claim(agent, task_id, enforce="dig")


async def until_waiting(fleet: Fleet, claimers: int) -> None:
    """Wait until some claimers are in the claim queue."""
    raw: Any = fleet.raw
    queues = fleet.namespaces["test"].keys.shard_names(0)["waiting:"] + "*"
    await async_until(lambda: sum(raw.zcard(queue) for queue in raw.keys(queues)) == claimers)


async def test_a_waiting_claim_is_refused_when_its_delegation_is_revoked(
    fleet: Fleet, tasks: AsyncTaskManager, delegations: AsyncDelegationProtocol
) -> None:
    delegation_id = await delegations.delegate("boss", "helper", "dig")
    waiting = asyncio.create_task(tasks.claim_next("helper", enforce="dig", wait=TIMEOUT))
    await until_waiting(fleet, 1)
    other = fleet.protocol(TaskManager, AsyncTaskManager)
    waiting_too = asyncio.create_task(other.claim_next("another agent", wait=TIMEOUT))
    await until_waiting(fleet, 2)
    await delegations.revoke(delegation_id)
    task_id = await tasks.submit(Task(objective="x"))
    with pytest.raises(NotAuthorizedError):
        await waiting
    (claimed,) = await waiting_too
    assert claimed.id == task_id, "the refused claim has woken the next one"


async def test_invalid_scopes_and_principals_are_refused(tasks: AsyncTaskManager) -> None:
    with pytest.raises(InvalidValueError, match="on_behalf_of needs a scope"):
        await tasks.claim("a", "b", on_behalf_of="c")
    with pytest.raises(InvalidValueError, match="enforce must name something"):
        await tasks.claim_next("a", enforce=[])
    with pytest.raises(InvalidTypeError, match="on_behalf_of"):
        await tasks.claim("a", "b", enforce="x", on_behalf_of=3)  # type: ignore[arg-type]


def test_the_asyncio_protocol_has_the_same_documentation() -> None:
    assert DelegationProtocol.delegate.__doc__ == AsyncDelegationProtocol.delegate.__doc__
