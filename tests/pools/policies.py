"""Policies and trust providers that note their calls, and refusals."""

from collections.abc import Callable
from typing import Any

import pytest

from converge_redis import AdmissionDeniedError, Pool
from tests.pools.conftest import Manager


class Policy:
    """Calls a function for each decision.

    Attributes:
        members_seen: The members of the pool at each call.
    """

    def __init__(self, admits: Callable[[str, Pool], bool]) -> None:
        self.admits = admits
        self.members_seen: list[list[str]] = []

    def can_admit(self, agent_id: str, pool: Pool) -> bool:
        self.members_seen.append(pool.members)
        return self.admits(agent_id, pool)


class NamedPolicy(Policy):
    name = "named"


class TrustingPolicy(Policy):
    """A policy that is a trust provider too."""

    def get_trust(self, agent_id: str) -> float:
        return 0.9


class Trust:
    """A trust provider that returns the same value for each agent."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def get_trust(self, agent_id: str) -> Any:
        return self.value


async def denied(manager: Manager, reason: str, *args: Any, **kwargs: Any) -> None:
    """Check that `join_pool` is denied for a reason."""
    with pytest.raises(AdmissionDeniedError) as caught:
        await manager.join_pool(*args, **kwargs)
    assert caught.value.reason == reason
