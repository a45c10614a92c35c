"""Managers of delegations and pools, and delegations that expire."""

from collections.abc import Callable

import pytest

from converge_redis import AsyncDelegationProtocol, AsyncPoolManager, DelegationProtocol, PoolManager
from tests.support.fleet import Fleet

Expire = Callable[[str], None]


@pytest.fixture
def delegations(fleet: Fleet) -> AsyncDelegationProtocol:
    return fleet.protocol(DelegationProtocol, AsyncDelegationProtocol)


@pytest.fixture
def pools(fleet: Fleet) -> AsyncPoolManager:
    return fleet.protocol(PoolManager, AsyncPoolManager)


@pytest.fixture
def expire(fleet: Fleet) -> Expire:
    """Return a function that moves the expiry of a delegation into the past."""

    def expire(delegation_id: str) -> None:
        records = fleet.namespaces["test"].keys.delegation_names()["delegation:"]
        assert fleet.raw.hexists(records + delegation_id, "expires")
        fleet.raw.hset(records + delegation_id, "expires", "1")

    return expire
