"""The negotiation protocol compared with a model, in any order of calls."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from converge_redis import NegotiationProtocol, RedisStore
from converge_redis.core.ids import uuid7
from tests.support.backends import Backend

AGENTS = "abcd"
agents = st.sampled_from(AGENTS + "z")


@dataclass
class Model:
    """A negotiation, as its rules define it.

    Attributes:
        history: The proposers, in the order of their proposals.
    """

    quorum: str
    max_rounds: int | None
    turn_order: bool
    history: list[str] = field(default_factory=lambda: ["a"])
    accepted: set[str] = field(default_factory=set)
    state: str = "proposed"

    def may_act(self, agent: str) -> bool:
        return agent in AGENTS and self.state in {"proposed", "countered"}

    def propose(self, agent: str) -> bool:
        next_agent = AGENTS[(AGENTS.index(self.history[-1]) + 1) % len(AGENTS)]
        is_last_round = self.max_rounds is not None and len(self.history) >= self.max_rounds
        is_turn = not self.turn_order or agent == next_agent
        if not self.may_act(agent) or is_last_round or not is_turn:
            return False
        self.history.append(agent)
        self.accepted.clear()
        self.state = "countered"
        return True

    def accept(self, agent: str, number: int | None) -> bool:
        if not self.may_act(agent) or agent == self.history[-1] or number not in {None, len(self.history)}:
            return False
        self.accepted.add(agent)
        if self.quorum == "any" or len(self.accepted) == len(AGENTS) - 1:
            self.state = "accepted"
        return True

    def reject(self, agent: str, number: int | None) -> bool:
        if not self.may_act(agent) or number not in {None, len(self.history)}:
            return False
        self.state = "rejected"
        return True


class ProtocolAndModel(RuleBasedStateMachine):
    """The protocol and the model, changed by the same calls."""

    client: ClassVar[redis.Redis]

    def __init__(self) -> None:
        super().__init__()
        self.store = RedisStore(self.client, f"model {uuid7()}")
        self.protocol = NegotiationProtocol(self.store)

    @initialize(
        quorum=st.sampled_from(["any", "all"]),
        max_rounds=st.none() | st.integers(1, 6),
        turn_order=st.booleans(),
    )
    def create_session(self, quorum: str, max_rounds: int | None, turn_order: bool) -> None:
        self.id = self.protocol.create_session(
            "a", list(AGENTS), "a", quorum=quorum, max_rounds=max_rounds, turn_order=turn_order
        )
        self.model = Model(quorum, max_rounds, turn_order)

    def teardown(self) -> None:
        self.store.close()

    def proposal_id(self, number: int | None) -> str | None:
        return None if number is None else f"{self.id}:{number}"

    @rule(agent=agents)
    def propose(self, agent: str) -> None:
        assert self.protocol.propose(self.id, agent, agent) is self.model.propose(agent)

    @rule(agent=agents, number=st.none() | st.integers(1, 4))
    def accept(self, agent: str, number: int | None) -> None:
        accepted = self.protocol.accept(self.id, agent, self.proposal_id(number))
        assert accepted is self.model.accept(agent, number)

    @rule(
        agent=agents,
        number=st.none() | st.integers(1, 4),
        is_chosen=st.sampled_from([True, False, False, False]),  # a rejection ends the session
    )
    def reject(self, agent: str, number: int | None, is_chosen: bool) -> None:
        if is_chosen:
            rejected = self.protocol.reject(self.id, agent, self.proposal_id(number))
            assert rejected is self.model.reject(agent, number)

    @invariant()
    def sessions_are_equal(self) -> None:
        session = self.protocol.get_session(self.id)
        assert session is not None
        assert session.state == self.model.state
        assert [proposal.content for proposal in session.history] == self.model.history
        assert set(session.accepted_by) == self.model.accepted
        assert self.protocol.list_sessions("c") == ([] if session.state.terminal else [self.id])


def test_every_call_has_the_result_of_the_model(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProtocolAndModel, "client", real.client(), raising=False)
    run_state_machine_as_test(
        ProtocolAndModel,
        settings=settings(
            max_examples=60,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
