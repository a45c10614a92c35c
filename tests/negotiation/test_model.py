"""All verbs of negotiation held against a pure model, in any order."""

from dataclasses import dataclass, field

import fakeredis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from converge_redis import NegotiationProtocol, RedisStore

AGENTS = "abcd"
agents = st.sampled_from(AGENTS + "z")


@dataclass
class Model:
    quorum: str
    rounds: int | None
    turns: bool
    history: list[str] = field(default_factory=lambda: ["a"])
    accepted: set[str] = field(default_factory=set)
    state: str = "proposed"

    def may_act(self, agent: str) -> bool:
        return agent in AGENTS and self.state in {"proposed", "countered"}

    def propose(self, agent: str) -> bool:
        after = AGENTS[(AGENTS.index(self.history[-1]) + 1) % len(AGENTS)]
        full = self.rounds is not None and len(self.history) >= self.rounds
        if not self.may_act(agent) or full or (self.turns and agent != after):
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


class Negotiating(RuleBasedStateMachine):
    """What the protocol does, beside what the rules say."""

    @initialize(
        quorum=st.sampled_from(["any", "all"]), rounds=st.none() | st.integers(1, 6), turns=st.booleans()
    )
    def begin(self, quorum: str, rounds: int | None, turns: bool) -> None:
        self.real = NegotiationProtocol(RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer())))
        self.id = self.real.create_session(
            "a", list(AGENTS), "a", quorum=quorum, max_rounds=rounds, turn_order=turns
        )
        self.model = Model(quorum, rounds, turns)

    def named(self, number: int | None) -> str | None:
        return None if number is None else f"{self.id}:{number}"

    @rule(agent=agents)
    def propose(self, agent: str) -> None:
        assert self.real.propose(self.id, agent, agent) is self.model.propose(agent)

    @rule(agent=agents, number=st.none() | st.integers(1, 4))
    def accept(self, agent: str, number: int | None) -> None:
        assert self.real.accept(self.id, agent, self.named(number)) is self.model.accept(agent, number)

    @rule(
        agent=agents, number=st.none() | st.integers(1, 4), sure=st.sampled_from([True, False, False, False])
    )
    def reject(self, agent: str, number: int | None, sure: bool) -> None:
        if sure:
            assert self.real.reject(self.id, agent, self.named(number)) is self.model.reject(agent, number)

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        session = self.real.get_session(self.id)
        assert session is not None
        assert session.state == self.model.state
        assert [proposal.content for proposal in session.history] == self.model.history
        assert set(session.accepted_by) == self.model.accepted
        assert self.real.list_sessions("c") == ([] if session.state.terminal else [self.id])


def test_the_protocol_does_as_the_model_says() -> None:
    run_state_machine_as_test(
        Negotiating, settings=settings(max_examples=60, stateful_step_count=20, deadline=None)
    )
