"""The Contract Net: calls, replies and awards, on every server, in both styles."""

import asyncio
from typing import Any

import pytest

from converge_redis import (
    ActRefusedError,
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


async def read(net: AsyncContractNet, task_id: str) -> CallForProposals:
    call = await net.get_call(task_id)
    assert call is not None
    return call


async def refused(reason: str, call: Any) -> None:
    with pytest.raises(ActRefusedError) as error:
        await call
    assert error.value.reason == reason


async def test_a_call_from_the_task_to_the_claim(net: AsyncContractNet, tasks: AsyncTaskManager) -> None:
    made = await net.call("boss", Task(objective="dig"), ["a", "b", "c"], reply_within_sec=1000)
    assert await tasks.claim("a", made) is False, "nobody can claim what is to be awarded"
    assert await tasks.claim_next("a") == []
    assert await net.list_calls("a") == [made]
    assert await net.propose(made, "a", {"days": 3})
    assert await net.propose(made, "b", {"days": 2})
    assert await net.refuse(made, "c", "busy")
    assert await net.list_calls("a") == []
    call = await net.wait_for_replies(made, TIMEOUT)
    assert call is not None
    assert [(one.agent_id, one.content) for one in call.proposals] == [("a", {"days": 3}), ("b", {"days": 2})]
    assert (call.refusals, call.state, call.initiator_id) == ({"c": "busy"}, "open", "boss")
    await refused("not_initiator", net.accept(made, "b", by="a", strict=True))
    await refused("no_proposal", net.accept(made, "c", strict=True))
    assert await net.accept(made, "b", by="boss") is True
    assert await net.accept(made, "b") is True, "once is as good as twice"
    await refused("late", net.accept(made, "a", strict=True))
    await refused("late", net.propose(made, "a", 1, strict=True))
    (claim,) = await tasks.list_claims("b")
    assert claim.id == made
    assert await tasks.report("b", made, "dug", claim_token=claim.claim_token)


async def test_all_others_are_told(net: AsyncContractNet) -> None:
    made = await net.call("boss", Task(), ["a", "b", "c"], reply_within_sec=1000)
    await net.propose(made, "a")
    waiting = [asyncio.create_task(net.wait_for_award(made, TIMEOUT)) for _ in range(3)]
    await asyncio.sleep(0)
    await net.accept(made, "a")
    for call in await asyncio.gather(*waiting):
        assert call is not None
        assert (call.state, call.contractor_id) == ("awarded", "a")


async def test_invitees_are_told_of_a_call(net: AsyncContractNet) -> None:
    waiting = asyncio.create_task(net.wait_for_call("a", TIMEOUT))
    await asyncio.sleep(0)
    made = await net.call("boss", Task(), ["a"], reply_within_sec=1000)
    assert await waiting == made
    assert await net.wait_for_call("a", TIMEOUT) == made, "until it has replied"
    await net.refuse(made, "a")
    assert await net.wait_for_call("a", 0.02) is None
    assert await net.wait_for_call("a", 0) is None


async def test_late_replies_are_refused(net: AsyncContractNet, tasks: AsyncTaskManager) -> None:
    made = await net.call("boss", Task(), ["a", "b"], reply_within_sec=0.05, award_within_sec=0.1)
    await net.propose(made, "a")
    call = await net.wait_for_replies(made, TIMEOUT)
    assert call is not None
    assert call.state == "open"
    await refused("late", net.propose(made, "b", strict=True))
    await refused("late", net.refuse(made, "b", strict=True))
    assert await net.list_calls("b") == []
    lapsed = await net.wait_for_award(made, TIMEOUT)
    assert lapsed is not None
    assert (lapsed.state, lapsed.ended_at) == ("lapsed", lapsed.lapses_at)
    await refused("late", net.accept(made, "a", strict=True))
    assert [task.id for task in await tasks.claim_next("z", wait=TIMEOUT)] == [made]


async def test_a_refusal_takes_back_a_proposal(net: AsyncContractNet) -> None:
    made = await net.call("boss", Task(), ["a"], reply_within_sec=1000)
    assert await net.propose(made, "a", 1)
    assert await net.refuse(made, "a", "changed my mind")
    assert (await read(net, made)).proposals == []
    await refused("no_proposal", net.accept(made, "a", strict=True))
    assert await net.propose(made, "a", 2)
    assert await net.accept(made, "a")


async def test_an_award_that_cannot_be_changes_nothing(
    net: AsyncContractNet, tasks: AsyncTaskManager
) -> None:
    made = await net.call("boss", Task(), ["a"], reply_within_sec=1000)
    await net.propose(made, "a")
    assert await tasks.cancel_task(made)
    await refused("not_pending", net.accept(made, "a", strict=True))
    assert (await read(net, made)).state == "open"


async def test_one_of_many_awards_at_once_is_the_one(net: AsyncContractNet, tasks: AsyncTaskManager) -> None:
    agents = [f"agent {number}" for number in range(10)]
    made = await net.call("boss", Task(), agents, reply_within_sec=1000)
    assert all(await asyncio.gather(*(net.propose(made, agent) for agent in agents)))
    awarded = await asyncio.gather(*(net.accept(made, agent) for agent in agents))
    assert awarded.count(True) == 1
    contractor = (await read(net, made)).contractor_id
    assert contractor == agents[awarded.index(True)]
    assert [task.assigned_to for task in await tasks.list_claims(contractor)] == [contractor]


async def test_the_members_of_a_pool_are_invited(fleet: Fleet, net: AsyncContractNet, shards: int) -> None:
    pools = fleet.protocol(PoolManager, AsyncPoolManager, shards=shards)
    await pools.create_pool(PoolSpec(id="crew"))
    for agent in ("boss", "a", "b, c"):
        await pools.join_pool(agent, "crew")
    made = await net.call("boss", Task(), pool_id="crew", reply_within_sec=1000)
    assert (await read(net, made)).invitees == ["a", "b, c"]
    assert await net.propose(made, "b, c")
    for outsider in ("boss", "b", "z"):
        await refused("not_invited", net.propose(made, outsider, strict=True))
    with pytest.raises(PoolNotFoundError):
        await net.call("boss", Task(), pool_id="none", reply_within_sec=1000)


async def test_what_is_unknown(net: AsyncContractNet) -> None:
    assert await net.get_call("forged") is None
    assert await net.wait_for_award("forged", 1) is None
    await refused("unknown", net.propose("forged", "a", strict=True))
    await refused("unknown", net.accept("forged", "a", strict=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"initiator_id": ""}, "initiator_id"),
        ({"invitees": None}, "invitees or pool_id"),
        ({"pool_id": "crew"}, "invitees or pool_id"),
        ({"invitees": []}, "invitees"),
        ({"invitees": "abc"}, "invitees"),
        ({"invitees": [str(number) for number in range(1001)]}, "invitees"),
        ({"reply_within_sec": 0}, "reply_within_sec"),
        ({"award_within_sec": float("nan")}, "award_within_sec"),
        ({"task": "dig"}, "task"),
    ],
)
async def test_malformed_input_is_refused(
    net: AsyncContractNet, tasks: AsyncTaskManager, given: dict[str, Any], message: str
) -> None:
    arguments = {"initiator_id": "boss", "task": Task(), "invitees": ["a"], "reply_within_sec": 10.0, **given}
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        await net.call(**arguments)
    assert (await tasks.counts())["pending"] == 0
