"""Delegations: chains, revocation, expiry, pools, and refusals."""

import asyncio
import itertools
from typing import Any

import pytest

from converge_redis import (
    AsyncDelegationProtocol,
    AsyncPoolManager,
    DelegationRefusedError,
    InvalidTypeError,
    InvalidValueError,
    NotAuthorizedError,
    PoolSpec,
)
from converge_redis.delegation import operations
from tests.delegation.conftest import Expire
from tests.support.fleet import Fleet


async def delegate_chain(
    delegations: AsyncDelegationProtocol, agents: str = "abcdef", **first: Any
) -> list[str]:
    """Delegate read and write from each agent to the next; return the ids, that of the root first."""
    ids = [await delegations.delegate(agents[0], agents[1], ["read", "write"], **first)]
    for delegator, delegatee in itertools.pairwise(agents[1:]):
        ids.append(await delegations.delegate(delegator, delegatee, parent=ids[-1]))
    return ids


async def refused(reason: str, call: Any) -> None:
    with pytest.raises(DelegationRefusedError) as error:
        await call
    assert error.value.reason == reason


async def test_the_delegatee_is_authorized_for_the_scope(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("boss", "helper", ["read", "write"])
    assert await delegations.is_authorized("helper", "read")
    assert await delegations.is_authorized("helper", ["write", "read"])
    assert not await delegations.is_authorized("helper", "delete")
    assert not await delegations.is_authorized("helper", ["read", "delete"])
    assert not await delegations.is_authorized("boss", "read")
    found = await delegations.get_delegation(delegation_id)
    assert found is not None
    assert (found.id, found.delegator_id, found.delegatee_id) == (delegation_id, "boss", "helper")
    assert (found.scope, found.type, found.is_active) == (("read", "write"), "direct", True)
    assert (
        found
        == (await delegations.list_delegations(delegator_id="boss"))[0]
        == (await delegations.list_delegations(delegatee_id="helper"))[0]
    )


async def test_revoking_twice_returns_false(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("boss", "helper", "read")
    assert await delegations.revoke(delegation_id) is True
    assert await delegations.revoke(delegation_id) is False
    assert await delegations.revoke("unknown") is False
    assert not await delegations.is_authorized("helper", "read")
    found = await delegations.get_delegation(delegation_id)
    assert found is not None
    assert found.revoked_at is not None
    assert not found.is_active


async def test_one_of_several_concurrent_revokes_returns_true(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("boss", "helper", "read")
    revoked = await asyncio.gather(*(delegations.revoke(delegation_id) for _ in range(20)))
    assert sorted(revoked) == [False] * 19 + [True]


async def test_each_delegatee_of_a_chain_is_authorized(delegations: AsyncDelegationProtocol) -> None:
    ids = await delegate_chain(delegations)
    assert len(ids) == 5
    for agent in "bcdef":
        assert await delegations.is_authorized(agent, "write")
    last = await delegations.get_delegation(ids[-1])
    assert last is not None
    assert (last.depth, last.scope, last.parent_id) == (4, ("read", "write"), ids[3])


async def test_no_delegation_of_a_chain_can_widen_the_scope(delegations: AsyncDelegationProtocol) -> None:
    ids = await delegate_chain(delegations)
    for delegator, parent in zip("bcdef", ids, strict=True):
        await refused("scope", delegations.delegate(delegator, "z", ["read", "delete"], parent=parent))
    narrow = await delegations.delegate("f", "g", "read", parent=ids[-1])
    await refused("scope", delegations.delegate("g", "h", ["read", "write"], parent=narrow))
    assert await delegations.is_authorized("g", "read")
    assert not await delegations.is_authorized("g", "write")


@pytest.mark.parametrize("revoked", range(5))
async def test_revoking_a_delegation_ends_all_below_it(
    delegations: AsyncDelegationProtocol, revoked: int
) -> None:
    ids = await delegate_chain(delegations)
    await delegations.revoke(ids[revoked], by="abcde"[revoked])
    for number, agent in enumerate("bcdef"):
        assert await delegations.is_authorized(agent, "read") is (number < revoked)
    await refused("revoked", delegations.delegate("f", "g", parent=ids[-1]))


@pytest.mark.parametrize("expired", range(5))
async def test_the_expiry_of_a_delegation_ends_all_below_it(
    delegations: AsyncDelegationProtocol, expire: Expire, expired: int
) -> None:
    ids = await delegate_chain(delegations, expires_in_sec=1000)
    expire(ids[expired])
    for number, agent in enumerate("bcdef"):
        assert await delegations.is_authorized(agent, "read") is (number < expired)
    await refused("expired", delegations.delegate("f", "g", parent=ids[-1]))
    assert await delegations.revoke(ids[expired]) is False
    below = await delegations.get_delegation(ids[-1])
    assert below is not None
    assert not below.is_active


async def test_one_of_two_chains_is_enough(delegations: AsyncDelegationProtocol) -> None:
    first, second = await delegate_chain(delegations, "abcd"), await delegate_chain(delegations, "xyd")
    await delegations.revoke(first[0])
    assert await delegations.is_authorized("d", "read")
    await delegations.revoke(second[0])
    assert not await delegations.is_authorized("d", "read")


async def test_a_delegation_to_an_agent_of_its_chain_is_refused(delegations: AsyncDelegationProtocol) -> None:
    ids = await delegate_chain(delegations)
    for earlier in "abcde":
        await refused("cycle", delegations.delegate("f", earlier, parent=ids[-1]))


async def test_only_the_delegatee_can_delegate_further(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("boss", "helper", "read")
    await refused("not_holder", delegations.delegate("boss", "other", parent=delegation_id))
    await refused("not_holder", delegations.delegate("thief", "other", parent=delegation_id))
    await refused("unknown", delegations.delegate("helper", "other", parent="forged"))


async def test_any_delegator_of_the_chain_can_revoke(delegations: AsyncDelegationProtocol) -> None:
    for delegator in "abcde":
        ids = await delegate_chain(delegations)
        assert await delegations.revoke(ids[-1], by=delegator) is True
    ids = await delegate_chain(delegations)
    for other in ("f", "z"):
        with pytest.raises(NotAuthorizedError, match="neither its delegator nor one above"):
            await delegations.revoke(ids[-1], by=other)
    with pytest.raises(NotAuthorizedError):
        await delegations.revoke(ids[0], by="b")
    assert await delegations.is_authorized("f", "read")


async def test_a_delegation_ends_with_its_parent_or_earlier(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("a", "b", "read", expires_in_sec=100)
    await refused("time", delegations.delegate("b", "c", parent=delegation_id, expires_in_sec=200))
    inherited, shorter = (
        await delegations.get_delegation(await delegations.delegate("b", "c", parent=delegation_id)),
        await delegations.get_delegation(
            await delegations.delegate("b", "c", parent=delegation_id, expires_in_sec=50)
        ),
    )
    above = await delegations.get_delegation(delegation_id)
    assert above is not None
    assert inherited is not None
    assert shorter is not None
    assert inherited.expires_at == above.expires_at
    assert above.expires_at is not None
    assert shorter.expires_at is not None
    assert shorter.expires_at < above.expires_at


async def test_the_depth_below_a_delegation_is_limited(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("a", "b", "read", max_depth=2)
    await refused("depth", delegations.delegate("b", "c", parent=delegation_id, max_depth=2))
    once = await delegations.delegate("b", "c", parent=delegation_id)
    twice = await delegations.delegate("c", "d", parent=once)
    await refused("depth", delegations.delegate("d", "e", parent=twice))
    last = await delegations.delegate("a", "b", "read", max_depth=0)
    await refused("depth", delegations.delegate("b", "c", parent=last))


async def test_chains_have_at_most_33_delegations(delegations: AsyncDelegationProtocol) -> None:
    delegation_id = await delegations.delegate("agent 0", "agent 1", "read")
    for number in range(1, operations.MAX_DEPTH + 1):
        delegation_id = await delegations.delegate(
            f"agent {number}", f"agent {number + 1}", parent=delegation_id
        )
    assert await delegations.is_authorized("agent 33", "read")
    await refused("depth", delegations.delegate("agent 33", "agent 34", parent=delegation_id))


async def test_delegations_to_a_pool_authorize_its_members(
    delegations: AsyncDelegationProtocol, pools: AsyncPoolManager
) -> None:
    await pools.create_pool(PoolSpec(id="diggers"))
    delegation_id = await delegations.delegate("boss", "diggers", "read", delegation_type="pooled")
    await pools.join_pool("member", "diggers")
    assert await delegations.is_authorized("member", "read")
    assert not await delegations.is_authorized("diggers", "read")
    assert not await delegations.is_authorized("stranger", "read")
    below = await delegations.delegate("member", "friend", parent=delegation_id)
    await refused("not_holder", delegations.delegate("stranger", "friend", parent=delegation_id))
    assert [delegation.id for delegation in await delegations.list_delegations(delegatee_id="member")] == [
        delegation_id
    ]
    assert await delegations.is_authorized("friend", "read")

    await pools.leave_pool("member", "diggers")
    assert not await delegations.is_authorized("member", "read")
    assert not await delegations.is_authorized("friend", "read"), "its delegator has left the pool"
    await refused("left", delegations.delegate("friend", "other", parent=below))
    await pools.join_pool("member", "diggers")
    assert await delegations.is_authorized("friend", "read")


async def test_scope_names_cannot_forge_other_scopes(delegations: AsyncDelegationProtocol) -> None:
    await delegations.delegate("a", "b", "read,write")
    for forged in ("read", "write", ",", "%", "read%2Cwrite"):
        assert not await delegations.is_authorized("b", forged)
    assert await delegations.is_authorized("b", "read,write")


async def test_many_delegations_are_read_in_pages(
    delegations: AsyncDelegationProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "DELEGATIONS_PER_SCRIPT", 3)
    ids = [await delegations.delegate("a", "b", f"scope {number}") for number in range(10)]
    assert [delegation.id for delegation in await delegations.list_delegations(delegator_id="a")] == ids
    assert [delegation.id for delegation in await delegations.list_delegations(delegatee_id="b")] == ids
    assert await delegations.is_authorized("b", "scope 9")
    assert not await delegations.is_authorized("b", "scope 10")


async def test_ended_delegations_are_swept(delegations: AsyncDelegationProtocol, fleet: Fleet) -> None:
    ids = [await delegations.delegate("a", "b", "read", expires_in_sec=1) for _ in range(3)]
    over = fleet.namespaces["test"].keys.delegation_names()["over"]
    for delegation_id in ids:
        fleet.raw.zadd(over, {delegation_id: 1})
    kept = await delegations.delegate("a", "b", "read")
    assert [delegation.id for delegation in await delegations.list_delegations(delegator_id="a")] == [kept]
    assert await delegations.get_delegation(ids[0]) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"delegator_id": ""}, "delegator_id"),
        ({"delegator_id": 3}, "delegator_id"),
        ({"delegatee_id": None}, "delegatee_id"),
        ({"delegatee_id": "a"}, "delegatee_id must be another agent"),
        ({"scope": None}, "scope must be given"),
        ({"scope": []}, "scope must name something"),
        ({"scope": [1]}, r"scope\[0\]"),
        ({"scope": 3}, "scope"),
        ({"scope": "x" * 600}, "scope"),
        ({"delegation_type": "all"}, "delegation_type"),
        ({"expires_in_sec": 0}, "expires_in_sec"),
        ({"expires_in_sec": float("nan")}, "expires_in_sec"),
        ({"max_depth": -1}, "max_depth"),
        ({"max_depth": 33}, "max_depth"),
        ({"parent": ""}, "parent"),
    ],
)
async def test_invalid_arguments_are_refused(
    delegations: AsyncDelegationProtocol, arguments: dict[str, Any], message: str
) -> None:
    valid = {"delegator_id": "a", "delegatee_id": "b", "scope": "read"}
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        await delegations.delegate(**{**valid, **arguments})
    assert await delegations.list_delegations(delegator_id="a") == []
