"""Calls that wait for sessions do not depend on messages: a change is found although its message was lost."""

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
from tests.support.backends import TIMEOUT, async_until
from tests.support.fleet import Fleet

Change = Callable[[], Awaitable[Any]]
Session = Callable[[Fleet], Awaitable[tuple[Awaitable[Any], Change]]]
"""Makes a session; returns a call that waits for a change, and the change by another process."""


async def negotiation(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol) for _ in range(2))
    session_id = await one.create_session("a", ["b"], 1)
    return one.wait_for_update(session_id, TIMEOUT, since=1), lambda: other.accept(session_id, "b")


async def auction(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(BiddingProtocol, AsyncBiddingProtocol, auction_id="x") for _ in range(2))
    await one.submit_bid("a", 1)
    return one.wait_for_outcome(TIMEOUT), other.resolve


async def ballot(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(Ballot, AsyncBallot, vote_id="x") for _ in range(2))
    await one.vote("a", 1)
    return one.wait_for_result(TIMEOUT), other.close


async def call_for_proposals(fleet: Fleet) -> tuple[Awaitable[Any], Change]:
    one, other = (fleet.protocol(ContractNet, AsyncContractNet) for _ in range(2))
    task_id = await one.call("boss", Task(), ["a"], reply_within_sec=1000)
    return one.wait_for_replies(task_id, TIMEOUT), lambda: other.propose(task_id, "a")


SESSIONS = [negotiation, auction, ballot, call_for_proposals]


def is_watched(fleet: Fleet) -> bool:
    return bool(fleet.raw.keys(fleet.namespaces["test"].keys.shard_names(0)["onlookers:"] + "*"))


@pytest.mark.parametrize("session", SESSIONS)
async def test_a_waiting_call_survives_the_loss_of_the_subscribed_connection(
    real_fleet: Fleet, session: Session
) -> None:
    call, change = await session(real_fleet)
    waiting = asyncio.ensure_future(call)
    await async_until(lambda: is_watched(real_fleet))
    await async_until(lambda: real_fleet.raw.client_kill_filter(_type="pubsub"))
    await change()
    assert await waiting is not None


@pytest.mark.parametrize("session", SESSIONS)
@pytest.mark.parametrize("real_fleet", ["async"], indirect=True)  # a blocking call cannot be cancelled
async def test_a_cancelled_call_unregisters_its_listener(real_fleet: Fleet, session: Session) -> None:
    call, _change = await session(real_fleet)
    waiting = asyncio.ensure_future(call)
    await async_until(lambda: is_watched(real_fleet))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await async_until(lambda: not is_watched(real_fleet))
