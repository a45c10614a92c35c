"""Negotiations: proposals, replies, quorums, rounds, turns, deadlines."""

import asyncio
from typing import Any

import pytest

from converge_redis import (
    AsyncNegotiationProtocol,
    InvalidTypeError,
    InvalidValueError,
    NegotiationProtocol,
    NegotiationSession,
    NegotiationState,
    PayloadTooLargeError,
)
from converge_redis.negotiation import query
from tests.protocols.sessions import refused, until_watched
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet


@pytest.fixture
def negotiations(fleet: Fleet) -> AsyncNegotiationProtocol:
    return fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)


async def read(negotiations: AsyncNegotiationProtocol, session_id: str) -> NegotiationSession:
    session = await negotiations.get_session(session_id)
    assert session is not None
    return session


async def test_counter_proposals_until_one_is_accepted(negotiations: AsyncNegotiationProtocol) -> None:
    session_id = await negotiations.create_session("buyer", ["seller"], {"price": 10})
    first = await read(negotiations, session_id)
    assert (first.id, first.participants, first.state) == (session_id, ["buyer", "seller"], "proposed")
    assert (first.current_proposal.proposer_id, first.current_proposal.content) == ("buyer", {"price": 10})
    assert first.history == [first.current_proposal]
    assert await negotiations.propose(session_id, "seller", {"price": 14}) is True
    assert await negotiations.propose(session_id, "buyer", {"price": 12}) is True
    second = await read(negotiations, session_id)
    assert second.state is NegotiationState.COUNTERED
    assert [proposal.content["price"] for proposal in second.history] == [10, 14, 12]
    assert [proposal.id for proposal in second.history] == [f"{session_id}:{number}" for number in (1, 2, 3)]
    assert second.history == sorted(second.history, key=lambda proposal: proposal.timestamp)
    assert second.version > first.version
    assert await negotiations.accept(session_id, "seller") is True
    last = await read(negotiations, session_id)
    assert (last.state, last.ended_by, last.accepted_by) == ("accepted", "seller", ["seller"])
    assert last.current_proposal.content == {"price": 12}
    assert last.ended_at is not None


def close_by(negotiations: AsyncNegotiationProtocol) -> Any:
    """Return `close` with the agent as a positional argument, as `accept` and `reject` take it."""
    return lambda session_id, agent_id, **options: negotiations.close(session_id, by=agent_id, **options)


async def test_an_ended_session_refuses_all_calls(negotiations: AsyncNegotiationProtocol) -> None:
    for end, state in (
        (negotiations.accept, "accepted"),
        (negotiations.reject, "rejected"),
        (close_by(negotiations), "closed"),
    ):
        session_id = await negotiations.create_session("a", ["b"], 1)
        assert await end(session_id, "b") is True
        for reply in (negotiations.accept, negotiations.reject, close_by(negotiations)):
            for agent in "ab":
                assert await reply(session_id, agent) is False
                await refused("late", reply(session_id, agent, strict=True))
        assert await negotiations.propose(session_id, "a", 2) is False
        await refused("late", negotiations.propose(session_id, "a", 2, strict=True))
        session = await read(negotiations, session_id)
        assert (session.state, len(session.history)) == (state, 1)


async def test_an_agent_cannot_accept_its_own_proposal(negotiations: AsyncNegotiationProtocol) -> None:
    session_id = await negotiations.create_session("a", ["b"], 1)
    assert await negotiations.accept(session_id, "a") is False
    await refused("own", negotiations.accept(session_id, "a", strict=True))
    assert await negotiations.propose(session_id, "b", 2)
    await refused("own", negotiations.accept(session_id, "b", strict=True))
    assert await negotiations.accept(session_id, "a")


async def test_a_reply_to_an_earlier_proposal_is_refused(negotiations: AsyncNegotiationProtocol) -> None:
    session_id = await negotiations.create_session("a", ["b", "c"], 1)
    old = (await read(negotiations, session_id)).current_proposal.id
    assert await negotiations.propose(session_id, "c", 2)
    for reply in (negotiations.accept, negotiations.reject):
        assert await reply(session_id, "b", old) is False
        await refused("stale", reply(session_id, "b", old, strict=True))
        await refused("stale", reply(session_id, "b", "forged", strict=True))
    assert (
        await negotiations.accept(session_id, "b", (await read(negotiations, session_id)).current_proposal.id)
        is True
    )


async def test_other_agents_and_unknown_sessions_are_refused(negotiations: AsyncNegotiationProtocol) -> None:
    session_id = await negotiations.create_session("a", ["b"], 1)
    for reply in (negotiations.accept, negotiations.reject, close_by(negotiations)):
        await refused("not_participant", reply(session_id, "z", strict=True))
        await refused("not_participant", reply(session_id, "a,", strict=True))
        await refused("unknown", reply("forged", "a", strict=True))
    await refused("not_participant", negotiations.propose(session_id, "z", 1, strict=True))
    await refused("unknown", negotiations.propose("forged", "a", 1, strict=True))
    assert await negotiations.get_session("forged") is None
    assert await negotiations.wait_for_update("forged", 1) is None


async def test_with_quorum_all_each_other_participant_must_accept(
    negotiations: AsyncNegotiationProtocol,
) -> None:
    session_id = await negotiations.create_session("a", ["b", "c", "d"], 1, quorum="all")
    assert await negotiations.accept(session_id, "b")
    assert await negotiations.accept(session_id, "b"), "a second accept has no effect"
    assert await negotiations.accept(session_id, "c")
    assert (await read(negotiations, session_id)).accepted_by == ["b", "c"]
    assert await negotiations.propose(session_id, "d", 2), "earlier accepts do not count for a new proposal"
    assert (await read(negotiations, session_id)).accepted_by == []
    for agent in "abc":
        assert (await read(negotiations, session_id)).state == "countered"
        assert await negotiations.accept(session_id, agent)
    assert (await read(negotiations, session_id)).state == "accepted"


async def test_the_number_of_rounds_is_limited_and_turns_are_kept(
    negotiations: AsyncNegotiationProtocol,
) -> None:
    session_id = await negotiations.create_session("a", ["b", "c"], 1, max_rounds=4, turn_order=True)
    await refused("turn", negotiations.propose(session_id, "c", 2, strict=True))
    await refused("turn", negotiations.propose(session_id, "a", 2, strict=True))
    for agent in "bca":
        assert await negotiations.propose(session_id, agent, 2)
    await refused("rounds", negotiations.propose(session_id, "b", 2, strict=True))
    session = await read(negotiations, session_id)
    assert (session.max_rounds, session.turn_order) == (4, True)
    assert await negotiations.accept(session_id, "c")


async def test_turns_are_kept_for_any_agent_ids(negotiations: AsyncNegotiationProtocol) -> None:
    names = ["a,b", "b", "%", "ab"]
    session_id = await negotiations.create_session("a", names, 1, turn_order=True)
    for agent in (*names, "a"):
        assert await negotiations.propose(session_id, agent, 1)
    assert (await read(negotiations, session_id)).participants == ["a", *names]


async def test_a_session_closes_at_its_deadline_without_a_call(
    negotiations: AsyncNegotiationProtocol,
) -> None:
    session_id = await negotiations.create_session("a", ["b"], 1, deadline_sec=0.05)
    session = await negotiations.wait_for_update(session_id, TIMEOUT)
    assert session is not None
    assert (session.state, session.reason, session.ended_by) == ("closed", "deadline", None)
    assert session.ended_at == session.deadline_at == pytest.approx(session.created_at + 0.05, abs=1e-5)
    assert await negotiations.accept(session_id, "b") is False


async def test_an_accept_after_the_deadline_is_refused(negotiations: AsyncNegotiationProtocol) -> None:
    session_id = await negotiations.create_session("a", ["b"], 1, deadline_sec=0.001)

    async def has_ended() -> bool:
        return not await negotiations.propose(session_id, "a", 1)

    await eventually(has_ended)
    await refused("late", negotiations.accept(session_id, "b", strict=True))
    session = await read(negotiations, session_id)
    assert (session.state, session.ended_at) == ("closed", session.deadline_at)


async def test_updates_are_pushed_to_all_waiting_calls(
    negotiations: AsyncNegotiationProtocol, fleet: Fleet
) -> None:
    other = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)
    session_id = await negotiations.create_session("a", ["b"], 1)
    known = await read(negotiations, session_id)
    waiting = [asyncio.create_task(other.wait_for_update(session_id, TIMEOUT, since=known)) for _ in range(5)]
    await until_watched(fleet, f"negotiation:{session_id}")
    assert await negotiations.propose(session_id, "b", 2)
    for update in await asyncio.gather(*waiting):
        assert update is not None
        assert update.current_proposal.content == 2
    missed = await other.wait_for_update(session_id, TIMEOUT, since=known.version)
    assert missed is not None, "a change between two calls is not missed"
    assert await other.wait_for_update(session_id, 0, since=known) == missed
    assert await other.wait_for_update(session_id, 0) is None
    assert await other.wait_for_update(session_id, 0.02, since=missed) is None
    assert await negotiations.accept(session_id, "a")
    ended = await other.wait_for_update(session_id, None)
    assert ended is not None
    assert ended.state == "accepted"


async def test_the_open_sessions_of_an_agent_are_listed_in_pages(
    negotiations: AsyncNegotiationProtocol, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "SESSIONS_PER_SCRIPT", 2)
    ids = [await negotiations.create_session("a", ["b"], number) for number in range(5)]
    other = await negotiations.create_session("c", ["b"], 1)
    assert await negotiations.list_sessions("a") == ids
    assert await negotiations.list_sessions("b") == [*ids, other]
    await negotiations.close(ids[0])
    await negotiations.accept(ids[1], "b")
    assert await negotiations.list_sessions("a") == ids[2:]
    assert await negotiations.list_sessions("z") == []
    gone = fleet.namespaces["test"].keys.shard_names(0)["negotiation:"] + ids[2]
    fleet.raw.delete(gone, gone.replace("negotiation:", "proposals:"))
    assert await negotiations.list_sessions("a") == ids[3:]
    assert await negotiations.list_sessions("b") == [*ids[3:], other]


async def test_sessions_of_all_shards_are_listed(fleet: Fleet) -> None:
    negotiations = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol, shards=5)
    ids = [await negotiations.create_session("a", ["b"], number) for number in range(20)]
    assert await negotiations.list_sessions("b") == sorted(ids)
    assert all(await asyncio.gather(*(negotiations.accept(session_id, "b") for session_id in ids)))
    assert await negotiations.list_sessions("b") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"initiator_id": ""}, "initiator_id"),
        ({"participants": "b"}, "participants"),
        ({"participants": []}, "participants"),
        ({"participants": ["a"]}, "participants"),
        ({"participants": ["b", 3]}, r"participants\[1\]"),
        ({"participants": [str(number) for number in range(1000)]}, "participants"),
        ({"initial_proposal": object()}, "initial_proposal"),
        ({"quorum": "most"}, "quorum"),
        ({"deadline_sec": float("inf")}, "deadline_sec"),
        ({"deadline_sec": -1}, "deadline_sec"),
        ({"max_rounds": 0}, "max_rounds"),
        ({"turn_order": 1}, "turn_order"),
    ],
)
async def test_invalid_arguments_are_refused(
    negotiations: AsyncNegotiationProtocol, arguments: dict[str, Any], message: str
) -> None:
    valid = {"initiator_id": "a", "participants": ["b"], "initial_proposal": 1}
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        await negotiations.create_session(**{**valid, **arguments})
    assert await negotiations.list_sessions("b") == []


async def test_a_proposal_above_the_payload_limit_is_refused(negotiations: AsyncNegotiationProtocol) -> None:
    session_id = await negotiations.create_session("a", ["b"], 1)
    with pytest.raises(PayloadTooLargeError, match="content"):
        await negotiations.propose(session_id, "b", "x" * 2**21)
    assert (await read(negotiations, session_id)).version == 1
