"""The contract net: calls for proposals, replies, awards."""

import asyncio
from typing import Any

import pytest

from converge_redis import (
    AsyncContractNet,
    AsyncPoolManager,
    AsyncTaskManager,
    CallForProposals,
    ContractNet,
    InvalidTypeError,
    InvalidValueError,
    PoolManager,
    PoolNotFoundError,
    PoolSpec,
    Task,
    TaskManager,
)
from tests.protocols.sessions import let_time_pass, refused, until_watched
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet


@pytest.fixture(params=[1, 5])
def shards(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def net(fleet: Fleet, shards: int) -> AsyncContractNet:
    return fleet.protocol(ContractNet, AsyncContractNet, shards=shards)


@pytest.fixture
def tasks(fleet: Fleet, shards: int) -> AsyncTaskManager:
    return fleet.protocol(TaskManager, AsyncTaskManager, shards=shards)


async def call(net: AsyncContractNet, *invitees: str, **options: Any) -> str:
    """Call for proposals for a new task; return its id."""
    options.setdefault("reply_within_sec", 1000)
    return await net.call("boss", Task(), list(invitees), **options)


async def read(net: AsyncContractNet, task_id: str) -> CallForProposals:
    snapshot = await net.get_call(task_id)
    assert snapshot is not None
    return snapshot


async def test_an_accepted_proposal_gives_its_agent_the_claim(
    net: AsyncContractNet, tasks: AsyncTaskManager
) -> None:
    task_id = await net.call("boss", Task(objective="dig"), ["a", "b", "c"], reply_within_sec=1000)
    assert await tasks.claim("a", task_id) is False, "a task that is to be awarded cannot be claimed"
    assert await tasks.claim_next("a") == []
    assert await net.list_calls("a") == [task_id]
    assert await net.propose(task_id, "a", {"days": 3})
    assert await net.propose(task_id, "b", {"days": 2})
    assert await net.refuse(task_id, "c", "busy")
    assert await net.list_calls("a") == []
    found = await net.wait_for_replies(task_id, TIMEOUT)
    assert found is not None
    proposals = [(proposal.agent_id, proposal.content) for proposal in found.proposals]
    assert proposals == [("a", {"days": 3}), ("b", {"days": 2})]
    assert (found.refusals, found.state, found.initiator_id) == ({"c": "busy"}, "open", "boss")
    await refused("not_initiator", net.accept(task_id, "b", by="a", strict=True))
    await refused("no_proposal", net.accept(task_id, "c", strict=True))
    assert await net.accept(task_id, "b", by="boss") is True
    assert await net.accept(task_id, "b") is True, "a second accept has no effect"
    await refused("late", net.accept(task_id, "a", strict=True))
    await refused("late", net.propose(task_id, "a", 1, strict=True))
    (claim,) = await tasks.list_claims("b")
    assert claim.id == task_id
    assert await tasks.report("b", task_id, "dug", claim_token=claim.claim_token)


async def test_the_award_is_pushed_to_all_waiting_calls(net: AsyncContractNet, fleet: Fleet) -> None:
    task_id = await call(net, "a", "b", "c")
    await net.propose(task_id, "a")
    waiting = [asyncio.create_task(net.wait_for_award(task_id, TIMEOUT)) for _ in range(3)]
    await until_watched(fleet, f"contract:{task_id}")
    await net.accept(task_id, "a")
    for found in await asyncio.gather(*waiting):
        assert found is not None
        assert (found.state, found.contractor_id) == ("awarded", "a")


async def test_a_call_is_pushed_to_its_invitees(net: AsyncContractNet, fleet: Fleet, shards: int) -> None:
    waiting = asyncio.create_task(net.wait_for_call("a", TIMEOUT))
    await until_watched(fleet, "calls:a", shards)
    task_id = await call(net, "a")
    assert await waiting == task_id
    assert await net.wait_for_call("a", TIMEOUT) == task_id, "it is returned until the agent has replied"
    await net.refuse(task_id, "a")
    assert await net.wait_for_call("a", 0.02) is None
    assert await net.wait_for_call("a", 0) is None


async def test_late_replies_are_refused_and_a_call_without_an_award_lapses(
    net: AsyncContractNet, tasks: AsyncTaskManager, fleet: Fleet
) -> None:
    task_id = await call(net, "a", "b", award_within_sec=1000)
    await net.propose(task_id, "a")
    let_time_pass(fleet, f"contract:{task_id}", 999.95)
    found = await net.wait_for_replies(task_id, TIMEOUT)
    assert found is not None
    assert found.state == "open"
    await refused("late", net.propose(task_id, "b", strict=True))
    await refused("late", net.refuse(task_id, "b", strict=True))
    assert await net.list_calls("b") == []
    let_time_pass(fleet, f"contract:{task_id}", 1000)
    lapsed = await net.wait_for_award(task_id, TIMEOUT)
    assert lapsed is not None
    assert (lapsed.state, lapsed.ended_at) == ("lapsed", lapsed.lapses_at)
    await refused("late", net.accept(task_id, "a", strict=True))
    fleet.past(task_id, "due")
    assert [task.id for task in await tasks.claim_next("z", wait=TIMEOUT)] == [task_id]


async def test_a_refusal_withdraws_an_earlier_proposal(net: AsyncContractNet) -> None:
    task_id = await call(net, "a")
    assert await net.propose(task_id, "a", 1)
    assert await net.refuse(task_id, "a", "changed my mind")
    assert (await read(net, task_id)).proposals == []
    await refused("no_proposal", net.accept(task_id, "a", strict=True))
    assert await net.propose(task_id, "a", 2)
    assert await net.accept(task_id, "a")


async def test_a_refused_award_leaves_the_call_open(net: AsyncContractNet, tasks: AsyncTaskManager) -> None:
    task_id = await call(net, "a")
    await net.propose(task_id, "a")
    assert await tasks.cancel_task(task_id)
    await refused("not_pending", net.accept(task_id, "a", strict=True))
    assert (await read(net, task_id)).state == "open"


async def test_one_of_several_concurrent_awards_is_accepted(
    net: AsyncContractNet, tasks: AsyncTaskManager
) -> None:
    agents = [f"agent {number}" for number in range(10)]
    task_id = await call(net, *agents)
    assert all(await asyncio.gather(*(net.propose(task_id, agent) for agent in agents)))
    awarded = await asyncio.gather(*(net.accept(task_id, agent) for agent in agents))
    assert awarded.count(True) == 1
    contractor = (await read(net, task_id)).contractor_id
    assert contractor == agents[awarded.index(True)]
    assert [task.assigned_to for task in await tasks.list_claims(contractor)] == [contractor]


async def test_a_call_can_invite_the_members_of_a_pool(
    fleet: Fleet, net: AsyncContractNet, shards: int
) -> None:
    pools = fleet.protocol(PoolManager, AsyncPoolManager, shards=shards)
    await pools.create_pool(PoolSpec(id="diggers"))
    for agent in ("boss", "a", "b, c"):
        await pools.join_pool(agent, "diggers")
    task_id = await net.call("boss", Task(), pool_id="diggers", reply_within_sec=1000)
    assert (await read(net, task_id)).invitees == ["a", "b, c"]
    assert await net.propose(task_id, "b, c")
    for outsider in ("boss", "b", "z"):
        await refused("not_invited", net.propose(task_id, outsider, strict=True))
    with pytest.raises(PoolNotFoundError):
        await net.call("boss", Task(), pool_id="none", reply_within_sec=1000)


async def test_an_unknown_call_is_none_or_refused(net: AsyncContractNet) -> None:
    assert await net.get_call("forged") is None
    assert await net.wait_for_award("forged", 1) is None
    await refused("unknown", net.propose("forged", "a", strict=True))
    await refused("unknown", net.accept("forged", "a", strict=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initiator_id": ""}, "initiator_id"),
        ({"invitees": None}, "invitees or pool_id"),
        ({"pool_id": "diggers"}, "invitees or pool_id"),
        ({"invitees": []}, "invitees"),
        ({"invitees": "abc"}, "invitees"),
        ({"invitees": [str(number) for number in range(1001)]}, "invitees"),
        ({"reply_within_sec": 0}, "reply_within_sec"),
        ({"award_within_sec": float("nan")}, "award_within_sec"),
        ({"task": "dig"}, "task"),
    ],
)
async def test_invalid_arguments_are_refused_and_no_task_is_submitted(
    net: AsyncContractNet, tasks: AsyncTaskManager, arguments: dict[str, Any], message: str
) -> None:
    valid = {"initiator_id": "boss", "task": Task(), "invitees": ["a"], "reply_within_sec": 10.0}
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        await net.call(**{**valid, **arguments})
    assert (await tasks.counts())["pending"] == 0
