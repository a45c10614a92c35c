"""Negotiations: who may do what when, on every server, in both styles."""

import asyncio
from typing import Any

import pytest

from converge_redis import (
    ActRefusedError,
    AsyncNegotiationProtocol,
    InvalidTypeError,
    InvalidValueError,
    NegotiationProtocol,
    NegotiationSession,
    NegotiationState,
    PayloadTooLargeError,
)
from converge_redis.negotiation import query
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet


@pytest.fixture
def talks(fleet: Fleet) -> AsyncNegotiationProtocol:
    return fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)


async def read(talks: AsyncNegotiationProtocol, session_id: str) -> NegotiationSession:
    session = await talks.get_session(session_id)
    assert session is not None
    return session


async def refused(reason: str, call: Any) -> None:
    with pytest.raises(ActRefusedError) as error:
        await call
    assert error.value.reason == reason


async def test_a_negotiation_from_the_first_proposal_to_the_end(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("buyer", ["seller"], {"price": 10})
    first = await read(talks, made)
    assert (first.id, first.participants, first.state) == (made, ["buyer", "seller"], "proposed")
    assert (first.current_proposal.proposer_id, first.current_proposal.content) == ("buyer", {"price": 10})
    assert first.history == [first.current_proposal]
    assert await talks.propose(made, "seller", {"price": 14}) is True
    assert await talks.propose(made, "buyer", {"price": 12}) is True
    second = await read(talks, made)
    assert second.state is NegotiationState.COUNTERED
    assert [proposal.content["price"] for proposal in second.history] == [10, 14, 12]
    assert [proposal.id for proposal in second.history] == [f"{made}:{number}" for number in (1, 2, 3)]
    assert second.history == sorted(second.history, key=lambda proposal: proposal.timestamp)
    assert second.version > first.version
    assert await talks.accept(made, "seller") is True
    last = await read(talks, made)
    assert (last.state, last.ended_by, last.accepted_by) == ("accepted", "seller", ["seller"])
    assert last.current_proposal.content == {"price": 12}
    assert last.ended_at is not None


def closed_by(talks: AsyncNegotiationProtocol) -> Any:
    """`close` with the agent as a positional argument, as the other acts take it."""
    return lambda session_id, agent_id, **options: talks.close(session_id, by=agent_id, **options)


async def test_what_is_over_stays_so(talks: AsyncNegotiationProtocol) -> None:
    for end, state in ((talks.accept, "accepted"), (talks.reject, "rejected"), (closed_by(talks), "closed")):
        made = await talks.create_session("a", ["b"], 1)
        assert await end(made, "b") is True
        for act in (talks.accept, talks.reject, closed_by(talks)):
            for agent in "ab":
                assert await act(made, agent) is False
                await refused("late", act(made, agent, strict=True))
        assert await talks.propose(made, "a", 2) is False
        await refused("late", talks.propose(made, "a", 2, strict=True))
        session = await read(talks, made)
        assert (session.state, len(session.history)) == (state, 1)


async def test_nobody_accepts_its_own_proposal(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b"], 1)
    assert await talks.accept(made, "a") is False
    await refused("own", talks.accept(made, "a", strict=True))
    assert await talks.propose(made, "b", 2)
    await refused("own", talks.accept(made, "b", strict=True))
    assert await talks.accept(made, "a")


async def test_an_accept_lands_only_on_the_proposal_that_it_names(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b", "c"], 1)
    old = (await read(talks, made)).current_proposal.id
    assert await talks.propose(made, "c", 2)
    for act in (talks.accept, talks.reject):
        assert await act(made, "b", old) is False
        await refused("stale", act(made, "b", old, strict=True))
        await refused("stale", act(made, "b", "forged", strict=True))
    assert await talks.accept(made, "b", (await read(talks, made)).current_proposal.id) is True


async def test_outsiders_and_unknown_sessions(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b"], 1)
    for act in (talks.accept, talks.reject, closed_by(talks)):
        await refused("not_participant", act(made, "z", strict=True))
        await refused("not_participant", act(made, "a,", strict=True))
        await refused("unknown", act("forged", "a", strict=True))
    await refused("not_participant", talks.propose(made, "z", 1, strict=True))
    await refused("unknown", talks.propose("forged", "a", 1, strict=True))
    assert await talks.get_session("forged") is None
    assert await talks.wait_for_update("forged", 1) is None


async def test_with_quorum_all_every_other_has_to_accept(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b", "c", "d"], 1, quorum="all")
    assert await talks.accept(made, "b")
    assert await talks.accept(made, "b"), "once is as good as twice"
    assert await talks.accept(made, "c")
    assert (await read(talks, made)).accepted_by == ["b", "c"]
    assert await talks.propose(made, "d", 2), "a new proposal begins anew"
    assert (await read(talks, made)).accepted_by == []
    for agent in "abc":
        assert (await read(talks, made)).state == "countered"
        assert await talks.accept(made, agent)
    assert (await read(talks, made)).state == "accepted"


async def test_rounds_and_turns(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b", "c"], 1, max_rounds=4, turn_order=True)
    await refused("turn", talks.propose(made, "c", 2, strict=True))
    await refused("turn", talks.propose(made, "a", 2, strict=True))
    for agent in "bca":
        assert await talks.propose(made, agent, 2)
    await refused("rounds", talks.propose(made, "b", 2, strict=True))
    session = await read(talks, made)
    assert (session.max_rounds, session.turn_order) == (4, True)
    assert await talks.accept(made, "c")


async def test_names_do_not_confuse_turns(talks: AsyncNegotiationProtocol) -> None:
    names = ["a,b", "b", "%", "ab"]
    made = await talks.create_session("a", names, 1, turn_order=True)
    for agent in (*names, "a"):
        assert await talks.propose(made, agent, 1)
    assert (await read(talks, made)).participants == ["a", *names]


async def test_a_deadline_closes_as_of_the_deadline(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b"], 1, deadline_sec=0.05)
    session = await talks.wait_for_update(made, TIMEOUT)
    assert session is not None
    assert (session.state, session.reason, session.ended_by) == ("closed", "deadline", None)
    assert session.ended_at == session.deadline_at == pytest.approx(session.created_at + 0.05)
    assert await talks.accept(made, "b") is False


async def test_a_late_accept_finds_it_closed(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b"], 1, deadline_sec=0.001)

    async def is_over() -> bool:
        return not await talks.propose(made, "a", 1)

    await eventually(is_over)
    await refused("late", talks.accept(made, "b", strict=True))
    session = await read(talks, made)
    assert (session.state, session.ended_at) == ("closed", session.deadline_at)


async def test_updates_are_pushed(talks: AsyncNegotiationProtocol, fleet: Fleet) -> None:
    other = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)
    made = await talks.create_session("a", ["b"], 1)
    known = await read(talks, made)
    waiting = [asyncio.create_task(other.wait_for_update(made, TIMEOUT, since=known)) for _ in range(5)]
    assert await talks.propose(made, "b", 2)
    for update in await asyncio.gather(*waiting):
        assert update is not None
        assert update.current_proposal.content == 2
    missed = await other.wait_for_update(made, TIMEOUT, since=known.version)
    assert missed is not None, "a change between two calls is not missed"
    assert await other.wait_for_update(made, 0, since=known) == missed
    assert await other.wait_for_update(made, 0) is None
    assert await other.wait_for_update(made, 0.02, since=missed) is None
    assert await talks.accept(made, "a")
    over = await other.wait_for_update(made, None)
    assert over is not None
    assert over.state == "accepted"


async def test_sessions_of_an_agent(
    talks: AsyncNegotiationProtocol, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "SESSIONS_PER_SCRIPT", 2)
    made = [await talks.create_session("a", ["b"], number) for number in range(5)]
    other = await talks.create_session("c", ["b"], 1)
    assert await talks.list_sessions("a") == made
    assert await talks.list_sessions("b") == [*made, other]
    await talks.close(made[0])
    await talks.accept(made[1], "b")
    assert await talks.list_sessions("a") == made[2:]
    assert await talks.list_sessions("z") == []
    gone = fleet.namespaces["test"].keys.shard_names(0)["negotiation:"] + made[2]
    fleet.raw.delete(gone, gone.replace("negotiation:", "proposals:"))
    assert await talks.list_sessions("a") == made[3:]
    assert await talks.list_sessions("b") == [*made[3:], other]


async def test_shards(fleet: Fleet) -> None:
    talks = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol, shards=5)
    made = [await talks.create_session("a", ["b"], number) for number in range(20)]
    assert await talks.list_sessions("b") == sorted(made)
    assert all(await asyncio.gather(*(talks.accept(one, "b") for one in made)))
    assert await talks.list_sessions("b") == []


@pytest.mark.parametrize(
    ("given", "message"),
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
async def test_malformed_input_is_refused(
    talks: AsyncNegotiationProtocol, given: dict[str, Any], message: str
) -> None:
    arguments = {"initiator_id": "a", "participants": ["b"], "initial_proposal": 1, **given}
    with pytest.raises((InvalidTypeError, InvalidValueError), match=message):
        await talks.create_session(**arguments)
    assert await talks.list_sessions("b") == []


async def test_a_huge_proposal_is_refused(talks: AsyncNegotiationProtocol) -> None:
    made = await talks.create_session("a", ["b"], 1)
    with pytest.raises(PayloadTooLargeError, match="content"):
        await talks.propose(made, "b", "x" * 2**21)
    assert (await read(talks, made)).version == 1
