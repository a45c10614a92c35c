"""Who may act for whom: chains, their ends, and what is refused."""

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
from converge_redis.delegation import operations as delegating
from tests.delegation.conftest import Expire
from tests.support.fleet import Fleet


async def chain(delegations: AsyncDelegationProtocol, names: str = "abcdef", **first: Any) -> list[str]:
    """Hand read and write on from one to the next; returns the ids, the first one first."""
    ids = [await delegations.delegate(names[0], names[1], ["read", "write"], **first)]
    for giver, taker in itertools.pairwise(names[1:]):
        ids.append(await delegations.delegate(giver, taker, parent=ids[-1]))
    return ids


async def refused(reason: str, call: Any) -> None:
    with pytest.raises(DelegationRefusedError) as error:
        await call
    assert error.value.reason == reason


async def test_what_is_delegated_may_be_done(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("boss", "helper", ["read", "write"])
    assert await delegations.is_authorized("helper", "read")
    assert await delegations.is_authorized("helper", ["write", "read"])
    assert not await delegations.is_authorized("helper", "delete")
    assert not await delegations.is_authorized("helper", ["read", "delete"])
    assert not await delegations.is_authorized("boss", "read")
    found = await delegations.get_delegation(made)
    assert found is not None
    assert (found.id, found.delegator_id, found.delegatee_id) == (made, "boss", "helper")
    assert (found.scope, found.type, found.is_active) == (("read", "write"), "direct", True)
    assert (
        found
        == (await delegations.list_delegations(delegator_id="boss"))[0]
        == (await delegations.list_delegations(delegatee_id="helper"))[0]
    )


async def test_a_second_revoke_is_false(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("boss", "helper", "read")
    assert await delegations.revoke(made) is True
    assert await delegations.revoke(made) is False
    assert await delegations.revoke("unknown") is False
    assert not await delegations.is_authorized("helper", "read")
    found = await delegations.get_delegation(made)
    assert found is not None
    assert found.revoked_at is not None
    assert not found.is_active


async def test_one_of_many_revokes_at_once_is_true(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("boss", "helper", "read")
    assert sorted(await asyncio.gather(*(delegations.revoke(made) for _ in range(20)))) == [False] * 19 + [
        True
    ]


async def test_a_chain_of_five_holds(delegations: AsyncDelegationProtocol) -> None:
    ids = await chain(delegations)
    assert len(ids) == 5
    for agent in "bcdef":
        assert await delegations.is_authorized(agent, "write")
    last = await delegations.get_delegation(ids[-1])
    assert last is not None
    assert (last.depth, last.scope, last.parent_id) == (4, ("read", "write"), ids[3])


async def test_no_link_of_a_chain_widens_the_scope(delegations: AsyncDelegationProtocol) -> None:
    ids = await chain(delegations)
    for giver, parent in zip("bcdef", ids, strict=True):
        await refused("scope", delegations.delegate(giver, "z", ["read", "delete"], parent=parent))
    narrow = await delegations.delegate("f", "g", "read", parent=ids[-1])
    await refused("scope", delegations.delegate("g", "h", ["read", "write"], parent=narrow))
    assert await delegations.is_authorized("g", "read")
    assert not await delegations.is_authorized("g", "write")


@pytest.mark.parametrize("link", range(5))
async def test_a_revocation_anywhere_ends_all_below(delegations: AsyncDelegationProtocol, link: int) -> None:
    ids = await chain(delegations)
    await delegations.revoke(ids[link], by="abcde"[link])
    for number, agent in enumerate("bcdef"):
        assert await delegations.is_authorized(agent, "read") is (number < link)
    await refused("revoked", delegations.delegate("f", "g", parent=ids[-1]))


@pytest.mark.parametrize("link", range(5))
async def test_an_expiry_anywhere_ends_all_below(
    delegations: AsyncDelegationProtocol, expire: Expire, link: int
) -> None:
    ids = await chain(delegations, expires_in_sec=1000)
    expire(ids[link])
    for number, agent in enumerate("bcdef"):
        assert await delegations.is_authorized(agent, "read") is (number < link)
    await refused("expired", delegations.delegate("f", "g", parent=ids[-1]))
    assert await delegations.revoke(ids[link]) is False
    below = await delegations.get_delegation(ids[-1])
    assert below is not None
    assert not below.is_active


async def test_a_second_valid_path_still_works(delegations: AsyncDelegationProtocol) -> None:
    first, second = await chain(delegations, "abcd"), await chain(delegations, "xyd")
    await delegations.revoke(first[0])
    assert await delegations.is_authorized("d", "read")
    await delegations.revoke(second[0])
    assert not await delegations.is_authorized("d", "read")


async def test_a_cycle_is_refused(delegations: AsyncDelegationProtocol) -> None:
    ids = await chain(delegations)
    for earlier in "abcde":
        await refused("cycle", delegations.delegate("f", earlier, parent=ids[-1]))


async def test_only_the_holder_hands_on(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("boss", "helper", "read")
    await refused("not_holder", delegations.delegate("boss", "other", parent=made))
    await refused("not_holder", delegations.delegate("thief", "other", parent=made))
    await refused("unknown", delegations.delegate("helper", "other", parent="forged"))


async def test_any_issuer_of_the_chain_may_revoke(delegations: AsyncDelegationProtocol) -> None:
    for issuer in "abcde":
        ids = await chain(delegations)
        assert await delegations.revoke(ids[-1], by=issuer) is True
    ids = await chain(delegations)
    for other in ("f", "z"):
        with pytest.raises(NotAuthorizedError, match="neither its delegator nor one above"):
            await delegations.revoke(ids[-1], by=other)
    with pytest.raises(NotAuthorizedError):
        await delegations.revoke(ids[0], by="b")
    assert await delegations.is_authorized("f", "read")


async def test_time_lies_inside_the_parents(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("a", "b", "read", expires_in_sec=100)
    await refused("time", delegations.delegate("b", "c", parent=made, expires_in_sec=200))
    inherited, shorter = (
        await delegations.get_delegation(await delegations.delegate("b", "c", parent=made)),
        await delegations.get_delegation(
            await delegations.delegate("b", "c", parent=made, expires_in_sec=50)
        ),
    )
    above = await delegations.get_delegation(made)
    assert above is not None
    assert inherited is not None
    assert shorter is not None
    assert inherited.expires_at == above.expires_at
    assert above.expires_at is not None
    assert shorter.expires_at is not None
    assert shorter.expires_at < above.expires_at


async def test_depth_only_shrinks(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("a", "b", "read", max_depth=2)
    await refused("depth", delegations.delegate("b", "c", parent=made, max_depth=2))
    once = await delegations.delegate("b", "c", parent=made)
    twice = await delegations.delegate("c", "d", parent=once)
    await refused("depth", delegations.delegate("d", "e", parent=twice))
    last = await delegations.delegate("a", "b", "read", max_depth=0)
    await refused("depth", delegations.delegate("b", "c", parent=last))


async def test_no_chain_is_deeper_than_32(delegations: AsyncDelegationProtocol) -> None:
    made = await delegations.delegate("agent 0", "agent 1", "read")
    for number in range(1, delegating.MAX_DEPTH + 1):
        made = await delegations.delegate(f"agent {number}", f"agent {number + 1}", parent=made)
    assert await delegations.is_authorized("agent 33", "read")
    await refused("depth", delegations.delegate("agent 33", "agent 34", parent=made))


async def test_members_of_a_pool_hold_what_it_holds(
    delegations: AsyncDelegationProtocol, pools: AsyncPoolManager
) -> None:
    await pools.create_pool(PoolSpec(id="crew"))
    made = await delegations.delegate("boss", "crew", "read", delegation_type="pooled")
    await pools.join_pool("member", "crew")
    assert await delegations.is_authorized("member", "read")
    assert not await delegations.is_authorized("crew", "read")
    assert not await delegations.is_authorized("stranger", "read")
    below = await delegations.delegate("member", "friend", parent=made)
    await refused("not_holder", delegations.delegate("stranger", "friend", parent=made))
    assert [one.id for one in await delegations.list_delegations(delegatee_id="member")] == [made]
    assert await delegations.is_authorized("friend", "read")

    await pools.leave_pool("member", "crew")
    assert not await delegations.is_authorized("member", "read")
    assert not await delegations.is_authorized("friend", "read"), "who handed it on has left the pool"
    await refused("left", delegations.delegate("friend", "other", parent=below))
    await pools.join_pool("member", "crew")
    assert await delegations.is_authorized("friend", "read")


async def test_names_cannot_forge_a_scope(delegations: AsyncDelegationProtocol) -> None:
    await delegations.delegate("a", "b", "read,write")
    for forged in ("read", "write", ",", "%", "read%2Cwrite"):
        assert not await delegations.is_authorized("b", forged)
    assert await delegations.is_authorized("b", "read,write")


async def test_many_are_read_page_by_page(
    delegations: AsyncDelegationProtocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delegating, "DELEGATIONS_PER_SCRIPT", 3)
    ids = [await delegations.delegate("a", "b", f"scope {number}") for number in range(10)]
    assert [one.id for one in await delegations.list_delegations(delegator_id="a")] == ids
    assert [one.id for one in await delegations.list_delegations(delegatee_id="b")] == ids
    assert await delegations.is_authorized("b", "scope 9")
    assert not await delegations.is_authorized("b", "scope 10")


async def test_what_has_ended_is_swept_after_a_day(
    delegations: AsyncDelegationProtocol, fleet: Fleet
) -> None:
    ids = [await delegations.delegate("a", "b", "read", expires_in_sec=1) for _ in range(3)]
    over = fleet.namespaces["test"].keys.delegation_names()["over"]
    for delegation_id in ids:
        fleet.raw.zadd(over, {delegation_id: 1})
    kept = await delegations.delegate("a", "b", "read")
    assert [one.id for one in await delegations.list_delegations(delegator_id="a")] == [kept]
    assert await delegations.get_delegation(ids[0]) is None


@pytest.mark.parametrize(
    ("given", "message"),
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
async def test_malformed_input_is_refused(
    delegations: AsyncDelegationProtocol, given: dict[str, Any], message: str
) -> None:
    arguments = {"delegator_id": "a", "delegatee_id": "b", "scope": "read", **given}
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        await delegations.delegate(**arguments)
    assert await delegations.list_delegations(delegator_id="a") == []
