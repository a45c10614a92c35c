"""Negotiations of ten processes on the real server: one order of the calls explains all their results."""

import random
from collections import Counter
from typing import Any

from converge_redis import NegotiationProtocol, NegotiationState, RedisStore
from tests.support.backends import Backend
from tests.support.processes import ProcessGroup

AGENTS = 10
SESSIONS = 500

Log = dict[str, list[tuple[str, str | None]]]
"""The accepted calls of one agent by session: the method, and the proposal that a reply is for."""


def negotiate(number: int, url: str, session_ids: list[str]) -> Log:
    """Accept, reject and propose at random in each session, up to a first call after its end.

    Only the first ten processes do.
    """
    log: Log = {}
    if number >= AGENTS:
        return log
    rng = random.Random(number)
    agent = f"agent {number}"
    with RedisStore.from_url(url, "race") as store:
        protocol = NegotiationProtocol(store)
        for session_id in session_ids:
            calls = log[session_id] = []
            for _ in range(4):
                session = protocol.get_session(session_id)
                assert session is not None
                proposal_id = session.current_proposal.id
                method = rng.choice(["accept", "reject", *["propose"] * 5])
                if method == "propose":
                    if protocol.propose(session_id, agent, (agent, len(calls))):
                        calls.append(("propose", None))
                elif getattr(protocol, method)(session_id, agent, proposal_id):
                    calls.append((method, proposal_id))
                if session.state.terminal:
                    break
    return log


def test_every_session_is_explained_by_one_order_of_the_calls(real: Backend, processes: ProcessGroup) -> None:
    """The order: the proposals as the history has them, then the reply that has ended the session."""
    agents = [f"agent {number}" for number in range(AGENTS)]
    with RedisStore.from_url(str(real.url), "race") as store:
        protocol = NegotiationProtocol(store)
        ids = [protocol.create_session("agent 0", agents, "first") for _ in range(SESSIONS)]
        logs: list[Log] = processes.call(negotiate, real.url, ids)[:AGENTS]
        ends: Counter[str] = Counter()
        for session_id in ids:
            session: Any = protocol.get_session(session_id)
            ends[session.state] += 1
            calls = {agent: log[session_id] for agent, log in zip(agents, logs, strict=True)}
            counters = session.history[1:]
            assert Counter(proposal.proposer_id for proposal in counters) == Counter(
                agent for agent, made in calls.items() for method, _ in made if method == "propose"
            )
            for agent in agents:
                numbers = [proposal.content[1] for proposal in counters if proposal.proposer_id == agent]
                assert numbers == sorted(numbers), "the proposals of one agent are in its order"
            replies = [
                (agent, method, proposal_id)
                for agent, made in calls.items()
                for method, proposal_id in made
                if method != "propose"
            ]
            assert len(replies) == session.state.terminal
            for agent, method, proposal_id in replies:
                assert (session.ended_by, session.state) == (agent, f"{method}ed")
                assert proposal_id == session.current_proposal.id == f"{session_id}:{len(session.history)}"
                assert method == "reject" or agent != session.current_proposal.proposer_id
                assert calls[agent][-1] == (method, proposal_id), "no call is accepted after the end"
        assert min(ends[NegotiationState.ACCEPTED], ends[NegotiationState.REJECTED]) > 10
