"""Lists return at most `limit` entries, from the beginning of their order."""

from typing import Any

import pytest

from converge_redis import (
    AsyncContractNet,
    AsyncDelegationProtocol,
    AsyncNegotiationProtocol,
    ContractNet,
    DelegationProtocol,
    InvalidTypeError,
    InvalidValueError,
    NegotiationProtocol,
    Task,
)
from tests.support.fleet import Fleet


async def test_sessions_are_listed_up_to_a_limit(fleet: Fleet) -> None:
    negotiations = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol, shards=3)
    for number in range(7):
        await negotiations.create_session("a", ["b"], number)
    ids = await negotiations.list_sessions("b")
    assert len(ids) == 7
    for limit in (1, 3, 7, 9):
        assert await negotiations.list_sessions("b", limit=limit) == ids[:limit]


async def test_calls_are_listed_up_to_a_limit(fleet: Fleet) -> None:
    net = fleet.protocol(ContractNet, AsyncContractNet, shards=3)
    for _ in range(7):
        await net.call("manager", Task(), ["contractor"], reply_within_sec=3600)
    ids = await net.list_calls("contractor")
    assert len(ids) == 7
    for limit in (1, 3, 7, 9):
        assert await net.list_calls("contractor", limit=limit) == ids[:limit]


async def test_delegations_are_listed_up_to_a_limit(fleet: Fleet) -> None:
    delegations = fleet.protocol(DelegationProtocol, AsyncDelegationProtocol)
    ids = [await delegations.delegate("a", "b", f"scope {number}") for number in range(5)]
    await delegations.delegate("c", "b", "other")

    async def listed(**filters: Any) -> list[str]:
        return [delegation.id for delegation in await delegations.list_delegations(**filters)]

    for limit in (1, 3, 5, 9):
        assert await listed(delegator_id="a", limit=limit) == ids[:limit]
        assert await listed(delegator_id="a", delegatee_id="b", limit=limit) == ids[:limit]
    assert await listed(delegatee_id="b", limit=2) == ids[:2]
    with pytest.raises(InvalidValueError, match="delegator_id or delegatee_id"):
        await listed()


@pytest.mark.parametrize(
    ("limit", "error"), [(0, InvalidValueError), (-1, InvalidValueError), (1.5, InvalidTypeError)]
)
async def test_a_limit_is_a_positive_integer(fleet: Fleet, limit: Any, error: type[Exception]) -> None:
    negotiations = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)
    with pytest.raises(error, match=f"limit .*{limit}"):
        await negotiations.list_sessions("a", limit=limit)
