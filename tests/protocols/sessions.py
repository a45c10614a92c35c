"""Sessions (auctions, ballots, calls for proposals, negotiations): refusals, watchers, time that passes."""

from collections.abc import Awaitable
from typing import Any

import pytest

from converge_redis import ActRefusedError
from tests.support.backends import async_until
from tests.support.fleet import Fleet


async def refused(reason: str, call: Awaitable[Any]) -> None:
    """Check that a call is refused for a reason."""
    with pytest.raises(ActRefusedError) as error:
        await call
    assert error.value.reason == reason


def key_of(fleet: Fleet, session: str, shard: int = 0) -> str:
    """Return the key of a session: ``"auction:<id>"``, ``"ballot:<id>"``, …"""
    kind, _, id_ = session.partition(":")
    return fleet.namespaces["test"].keys.shard_names(shard)[f"{kind}:"] + id_


def let_time_pass(fleet: Fleet, session: str, seconds: float, shard: int = 0) -> None:
    """Move the times of a session into the past, by some seconds."""
    key = key_of(fleet, session, shard)
    with fleet.raw.pipeline(transaction=True) as changes:
        for field in ("opened", "closes", "lapses"):
            if fleet.raw.hexists(key, field):
                changes.hincrby(key, field, -round(seconds * 1e6))
        changes.execute()


async def until_watched(fleet: Fleet, session: str, listeners: int = 1, shard: int = 0) -> None:
    """Wait until some listeners are registered for a session."""
    watchers = fleet.namespaces["test"].keys.shard_names(shard)["onlookers:"] + session
    await async_until(lambda: fleet.raw.scard(watchers) == listeners)
