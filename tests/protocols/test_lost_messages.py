"""Those who wait for sessions learn of a change also when they were not told of it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from converge_redis import (
    AsyncBallot,
    AsyncBiddingProtocol,
    AsyncContractNet,
    AsyncNegotiationProtocol,
    Ballot,
    BiddingProtocol,
    ContractNet,
    NegotiationProtocol,
    Task,
)
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet

Change = Callable[[], Awaitable[Any]]


async def negotiation(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    talks = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)
    other = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)
    made = await talks.create_session("a", ["b"], 1)
    return talks.wait_for_update(made, TIMEOUT, since=1), lambda: other.accept(made, "b")


async def auction(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(BiddingProtocol, AsyncBiddingProtocol, auction_id="x") for _ in range(2))
    await one.submit_bid("a", 1)
    return one.wait_for_outcome(TIMEOUT), other.resolve


async def ballot(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(Ballot, AsyncBallot, vote_id="x") for _ in range(2))
    await one.vote("a", 1)
    return one.wait_for_result(TIMEOUT), other.close


async def contract(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(ContractNet, AsyncContractNet) for _ in range(2))
    made = await one.call("boss", Task(), ["a"], reply_within_sec=1000)
    return one.wait_for_replies(made, TIMEOUT), lambda: other.propose(made, "a")


@pytest.mark.parametrize("session", [negotiation, auction, ballot, contract])
async def test_a_lost_connection_strands_nobody(
    real_fleet: Fleet, session: Callable[[Fleet], Awaitable[tuple[Awaitable[Any], Change]]]
) -> None:
    waits, change = await session(real_fleet)
    waiting = asyncio.ensure_future(waits)
    raw: Any = real_fleet.raw
    onlookers = real_fleet.namespaces["test"].keys.shard_names(0)["onlookers:"]

    async def is_watched() -> bool:
        return bool(raw.keys(onlookers + "*"))

    await eventually(is_watched)
    raw.client_kill_filter(_type="pubsub")
    await change()
    assert await waiting is not None


@pytest.mark.parametrize("session", [negotiation, auction, ballot, contract])
async def test_one_that_is_cancelled_leaves_nothing(
    real_fleet: Fleet, session: Callable[[Fleet], Awaitable[tuple[Awaitable[Any], Change]]]
) -> None:
    if real_fleet.style == "sync":
        return  # a thread that blocks cannot be cancelled
    waits, _change = await session(real_fleet)
    waiting = asyncio.ensure_future(waits)
    onlookers = real_fleet.namespaces["test"].keys.shard_names(0)["onlookers:"]

    async def is_watched() -> bool:
        return bool(real_fleet.raw.keys(onlookers + "*"))

    async def is_forgotten() -> bool:
        return not await is_watched()

    await eventually(is_watched)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await eventually(is_forgotten)
