"""The delegation protocol compared with a model, in any order of calls."""

import itertools
from dataclasses import dataclass
from typing import ClassVar

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from converge_redis import DelegationProtocol, DelegationRefusedError, PoolManager, PoolSpec, RedisStore
from converge_redis.core.ids import uuid7
from tests.support.backends import Backend

agents = st.sampled_from("abcd")
scopes = st.frozensets(st.sampled_from(["read", "write", "delete"]), min_size=1)


@dataclass
class Link:
    """A delegation of the model.

    Attributes:
        depth_left: How many delegations may be below it; None: any number.
    """

    delegator: str
    delegatee: str
    is_pooled: bool
    scope: frozenset[str]
    parent: "Link | None"
    depth_left: int | None
    has_ended: bool = False

    def chain(self) -> "list[Link]":
        """Return the link and all above it."""
        return [self, *(self.parent.chain() if self.parent else [])]


class ProtocolAndModel(RuleBasedStateMachine):
    """The protocol and the model, changed by the same calls."""

    client: ClassVar[redis.Redis]
    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.store = RedisStore(self.client, f"model {uuid7()}")
        self.protocol = DelegationProtocol(self.store)
        self.pools = PoolManager(self.store)
        self.pools.create_pool(PoolSpec(id="pool"))
        self.links: dict[str, Link] = {}
        self.members: set[str] = set()

    def is_holder(self, link: Link, agent: str) -> bool:
        return agent in self.members if link.is_pooled else link.delegatee == agent

    def is_active(self, link: Link) -> bool:
        chain = link.chain()
        return not any(each.has_ended for each in chain) and all(
            self.is_holder(above, below.delegator) for below, above in itertools.pairwise(chain)
        )

    @rule(
        target=ids,
        delegator=agents,
        delegatee=agents,
        is_pooled=st.booleans(),
        scope=scopes,
        max_depth=st.sampled_from([None, 0, 1, 3]),
    )
    def delegate(
        self, delegator: str, delegatee: str, is_pooled: bool, scope: frozenset[str], max_depth: int | None
    ) -> str:
        delegatee = "pool" if is_pooled else delegatee if delegatee != delegator else "e"
        delegation_id = self.protocol.delegate(
            delegator,
            delegatee,
            scope,
            delegation_type="pooled" if is_pooled else "direct",
            max_depth=max_depth,
            expires_in_sec=1000,
        )
        self.links[delegation_id] = Link(delegator, delegatee, is_pooled, scope, None, max_depth)
        return delegation_id

    @rule(target=ids, parent=ids, delegator=agents, delegatee=agents, scope=st.none() | scopes)
    def delegate_further(
        self, parent: str, delegator: str, delegatee: str, scope: frozenset[str] | None
    ) -> str:
        above = self.links[parent]
        delegatee = delegatee if delegatee != delegator else "e"
        is_allowed = (
            self.is_holder(above, delegator)
            and self.is_active(above)
            and above.depth_left != 0
            and (scope is None or scope <= above.scope)
            and all(each.delegator != delegatee for each in above.chain())
        )
        try:
            delegation_id = self.protocol.delegate(delegator, delegatee, scope, parent=parent)
        except DelegationRefusedError:
            assert not is_allowed
            return parent
        assert is_allowed
        depth_left = None if above.depth_left is None else above.depth_left - 1
        self.links[delegation_id] = Link(delegator, delegatee, False, scope or above.scope, above, depth_left)
        return delegation_id

    @rule(delegation_id=ids)
    def revoke(self, delegation_id: str) -> None:
        assert self.protocol.revoke(delegation_id) is not self.links[delegation_id].has_ended
        self.links[delegation_id].has_ended = True

    @rule(delegation_id=ids)
    def expire(self, delegation_id: str) -> None:
        records = self.store._namespace.keys.delegation_names()["delegation:"]
        self.client.hset(records + delegation_id, "expires", "1")
        self.links[delegation_id].has_ended = True

    @rule(agent=agents)
    def join(self, agent: str) -> None:
        self.pools.join_pool(agent, "pool")
        self.members.add(agent)

    @rule(agent=agents)
    def leave(self, agent: str) -> None:
        assert self.pools.leave_pool(agent, "pool") is (agent in self.members)
        self.members.discard(agent)

    @rule(agent=agents, scope=scopes)
    def check(self, agent: str, scope: frozenset[str]) -> None:
        assert self.protocol.is_authorized(agent, scope) is any(
            self.is_holder(link, agent) and self.is_active(link) and scope <= link.scope
            for link in self.links.values()
        )

    def teardown(self) -> None:
        self.store.close()

    @invariant()
    def delegations_are_equal(self) -> None:
        for delegation_id, link in self.links.items():
            found = self.protocol.get_delegation(delegation_id)
            assert found is not None
            assert (found.is_active, frozenset(found.scope)) == (self.is_active(link), link.scope)


def test_every_call_has_the_result_of_the_model(real: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProtocolAndModel, "client", real.client(), raising=False)
    run_state_machine_as_test(
        ProtocolAndModel,
        settings=settings(
            max_examples=40,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
