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


def key_of(fleet: Fleet, session: str) -> str:
    """Return the key of a session: ``"auction:<id>"``, ``"ballot:<id>"``, ``"contract:<id>"``."""
    keys = fleet.namespaces["test"].keys
    kind, _, id_ = session.partition(":")
    return keys.shard_names(keys.shard_of(id_))[f"{kind}:"] + id_


def let_time_pass(fleet: Fleet, session: str, seconds: float) -> None:
    """Move the times of a session into the past, by some seconds."""
    key = key_of(fleet, session)
    with fleet.raw.pipeline(transaction=True) as changes:
        for field in ("opened", "closes", "lapses"):
            if fleet.raw.hexists(key, field):
                changes.hincrby(key, field, -round(seconds * 1e6))
        changes.execute()


async def until_watched(fleet: Fleet, name: str, registrations: int = 1) -> None:
    """Wait until listeners are registered for a session, or another watched key, in some or all shards."""
    namespace = fleet.namespaces["test"]
    watchers = [namespace.keys.shard_names(shard)["onlookers:"] + name for shard in range(namespace.shards)]
    await async_until(lambda: sum(int(fleet.raw.scard(key)) for key in watchers) == registrations)
