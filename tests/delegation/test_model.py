"""All verbs of delegation held against a pure model, in any order."""

import itertools
from dataclasses import dataclass

import fakeredis
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from converge_redis import DelegationProtocol, DelegationRefusedError, PoolManager, PoolSpec, RedisStore

agents = st.sampled_from("abcd")
scopes = st.frozensets(st.sampled_from(["read", "write", "delete"]), min_size=1)


@dataclass
class Link:
    giver: str
    taker: str
    pooled: bool
    scope: frozenset[str]
    parent: "Link | None"
    left: int | None
    ended: bool = False

    def above(self) -> "list[Link]":
        return [self, *(self.parent.above() if self.parent else [])]


class Delegating(RuleBasedStateMachine):
    """What the protocol does, beside what the rules say."""

    made = Bundle("made")

    def __init__(self) -> None:
        super().__init__()
        self.client = fakeredis.FakeRedis(server=fakeredis.FakeServer())
        self.store = RedisStore(self.client)
        self.real = DelegationProtocol(self.store)
        self.pools = PoolManager(self.store)
        self.pools.create_pool(PoolSpec(id="crew"))
        self.links: dict[str, Link] = {}
        self.members: set[str] = set()

    def holds(self, link: Link, agent: str) -> bool:
        return agent in self.members if link.pooled else link.taker == agent

    def counts(self, link: Link) -> bool:
        chain = link.above()
        return not any(one.ended for one in chain) and all(
            self.holds(above, below.giver) for below, above in itertools.pairwise(chain)
        )

    @rule(
        target=made,
        giver=agents,
        taker=agents,
        pooled=st.booleans(),
        scope=scopes,
        left=st.sampled_from([None, 0, 1, 3]),
    )
    def begin(self, giver: str, taker: str, pooled: bool, scope: frozenset[str], left: int | None) -> str:
        taker = "crew" if pooled else taker if taker != giver else "e"
        kind = "pooled" if pooled else "direct"
        made = self.real.delegate(
            giver, taker, scope, delegation_type=kind, max_depth=left, expires_in_sec=1000
        )
        self.links[made] = Link(giver, taker, pooled, scope, None, left)
        return made

    @rule(target=made, parent=made, giver=agents, taker=agents, scope=st.none() | scopes)
    def hand_on(self, parent: str, giver: str, taker: str, scope: frozenset[str] | None) -> str:
        above = self.links[parent]
        taker = taker if taker != giver else "e"
        allowed = (
            self.holds(above, giver)
            and self.counts(above)
            and above.left != 0
            and (scope is None or scope <= above.scope)
            and all(one.giver != taker for one in above.above())
        )
        try:
            made = self.real.delegate(giver, taker, scope, parent=parent)
        except DelegationRefusedError:
            assert not allowed
            return parent
        assert allowed
        left = None if above.left is None else above.left - 1
        self.links[made] = Link(giver, taker, False, scope or above.scope, above, left)
        return made

    @rule(which=made)
    def revoke(self, which: str) -> None:
        assert self.real.revoke(which) is not self.links[which].ended
        self.links[which].ended = True

    @rule(which=made)
    def expire(self, which: str) -> None:
        self.client.hset(self.store._namespace.keys.delegation_names()["delegation:"] + which, "expires", "1")
        self.links[which].ended = True

    @rule(agent=agents)
    def join(self, agent: str) -> None:
        self.pools.join_pool(agent, "crew")
        self.members.add(agent)

    @rule(agent=agents)
    def leave(self, agent: str) -> None:
        assert self.pools.leave_pool(agent, "crew") is (agent in self.members)
        self.members.discard(agent)

    @rule(agent=agents, wanted=scopes)
    def ask(self, agent: str, wanted: frozenset[str]) -> None:
        assert self.real.is_authorized(agent, wanted) is any(
            self.holds(link, agent) and self.counts(link) and wanted <= link.scope
            for link in self.links.values()
        )

    @invariant()
    def all_are_as_the_model_says(self) -> None:
        for made, link in self.links.items():
            found = self.real.get_delegation(made)
            assert found is not None
            assert (found.is_active, frozenset(found.scope)) == (self.counts(link), link.scope)


def test_the_protocol_does_as_the_model_says() -> None:
    run_state_machine_as_test(
        Delegating, settings=settings(max_examples=40, stateful_step_count=25, deadline=None)
    )
