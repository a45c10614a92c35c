"""A stateful property test: all methods compared with a small model, with an audit after each step."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import fakeredis
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from converge_redis import (
    AdmissionDeniedError,
    NotAuthorizedError,
    PoolManager,
    PoolNotFoundError,
    RedisStore,
    Task,
    TaskCancelledError,
    TaskManager,
)
from tests.support.backends import Backend

AGENTS = st.sampled_from(["ann", "bob"])
HOLDER = "the holder"
HOLDER_OR_AGENTS = st.sampled_from([HOLDER, HOLDER, "ann", "bob"])
POOLS = st.sampled_from(["p", "q"])
TTL = 100.0


@dataclass
class ModelTask:
    """A task of the model."""

    priority: int
    topic: str | None
    has_lease: bool
    retries: int | None
    state: str = "pending"
    agent: str | None = None
    attempts: int = 0
    expiries: int = 0
    result: Any = None

    @property
    def is_claimed(self) -> bool:
        return self.state in {"assigned", "running"}

    @property
    def is_terminal(self) -> bool:
        return self.state in {"completed", "failed", "cancelled"}

    def claim(self, agent: str) -> None:
        self.state, self.agent, self.attempts = "assigned", agent, self.attempts + 1

    def expire(self) -> bool:
        """Let the lease expire; return whether the task is pending again."""
        self.expiries += 1
        if self.retries is not None and self.expiries > self.retries:
            self.state = "failed"
            return False
        self.state, self.agent = "pending", None
        return True


class TasksAndPools(RuleBasedStateMachine):
    """Tasks and pools, and the model of them."""

    store: RedisStore
    tasks = Bundle("tasks")

    def __init__(self) -> None:
        super().__init__()
        self.manager = TaskManager(self.store)
        self.pools = PoolManager(self.store)
        self.model: dict[str, ModelTask] = {}
        self.members: dict[str, list[str]] = {}

    @initialize(target=tasks)
    def submit_and_claim_some(self) -> Any:
        """Begin with tasks of each kind, most of them claimed: short examples then test more."""
        ids = [
            self.submit(0, None, has_lease, retries)
            for has_lease in (True, False)
            for retries in (None, 0, 1)
        ]
        for task_id in ids[:4]:
            self.claim(task_id, "ann")
        return multiple(*ids)

    @rule(
        target=tasks,
        priority=st.integers(-1, 1),
        topic=st.sampled_from([None, "x"]),
        has_lease=st.booleans(),
        retries=st.sampled_from([None, 0, 1]),
    )
    def submit(self, priority: int, topic: str | None, has_lease: bool, retries: int | None) -> str:
        constraints = {**({"claim_ttl_sec": TTL} if has_lease else {}), "max_retries": retries}
        task = Task(priority=priority, topic=topic, constraints=constraints)
        assert self.manager.submit(task) == self.manager.submit(task) == task.id
        self.model[task.id] = ModelTask(priority, topic, has_lease, retries)
        return task.id

    @rule(target=tasks, number=st.integers(1, 3))
    def submit_many(self, number: int) -> Any:
        ids = self.manager.submit_many(Task() for _ in range(number))
        self.model.update({task_id: ModelTask(0, None, False, None) for task_id in ids})
        return multiple(*ids)

    @rule(task_id=tasks, agent=AGENTS)
    def claim(self, task_id: str, agent: str) -> None:
        task = self.model[task_id]
        assert self.manager.claim(agent, task_id) is (task.state == "pending")
        if task.state == "pending":
            task.claim(agent)

    @rule(agent=AGENTS, topics=st.sampled_from([None, [], ["x"]]), count=st.integers(1, 3))
    def claim_next(self, agent: str, topics: list[str] | None, count: int) -> None:
        visible = [
            (-task.priority, task_id)
            for task_id, task in self.model.items()
            if task.state == "pending" and (topics is None or task.topic is None or task.topic in topics)
        ]
        expected = [task_id for _, task_id in sorted(visible)]
        listed = self.manager.list_pending_tasks_for_agent(agent, topics=topics, sort_by_priority=True)
        assert [task.id for task in listed] == expected
        claimed = self.manager.claim_next(agent, topics=topics, count=count)
        assert [task.id for task in claimed] == expected[:count]
        for task in claimed:
            self.model[task.id].claim(agent)

    def agent_of(self, task_id: str, agent: str) -> str:
        """Return the agent's name; of a task without a holder that of any agent."""
        return (self.model[task_id].agent or "ann") if agent == HOLDER else agent

    def accepted(self, task_id: str, agent: str, call: Callable[[], bool]) -> bool:
        """Make a call that only the holder may make; return whether the agent is the holder in the model."""
        task = self.model[task_id]
        if task.is_claimed and task.agent == agent:
            assert call() is True
            return True
        cancelled = task.state == "cancelled" and task.agent == agent
        with pytest.raises(TaskCancelledError if cancelled else NotAuthorizedError):
            call()
        return False

    @rule(task_id=tasks, agent=HOLDER_OR_AGENTS)
    def start(self, task_id: str, agent: str) -> None:
        agent = self.agent_of(task_id, agent)
        if self.accepted(task_id, agent, lambda: self.manager.start(agent, task_id)):
            self.model[task_id].state = "running"

    @rule(task_id=tasks, agent=HOLDER_OR_AGENTS)
    def extend(self, task_id: str, agent: str) -> None:
        agent = self.agent_of(task_id, agent)
        task = self.model[task_id]
        assert self.manager.extend_claim(agent, task_id) is (task.is_claimed and task.agent == agent)

    @rule(task_id=tasks, agent=HOLDER_OR_AGENTS, result=st.sampled_from([None, "a"]))
    def report(self, task_id: str, agent: str, result: Any) -> None:
        agent = self.agent_of(task_id, agent)
        task = self.model[task_id]
        if task.state == "completed" and task.agent == agent and task.result == result:
            assert self.manager.report(agent, task_id, result) is True
        elif self.accepted(task_id, agent, lambda: self.manager.report(agent, task_id, result)):
            task.state, task.result = "completed", result

    @rule(task_id=tasks, agent=st.none() | HOLDER_OR_AGENTS)
    def fail(self, task_id: str, agent: str | None) -> None:
        task = self.model[task_id]
        agent = agent and self.agent_of(task_id, agent)
        if agent is None:
            assert self.manager.fail_task(task_id, "why") is not task.is_terminal
            if not task.is_terminal:
                task.state, task.result = "failed", "why"
        elif self.accepted(task_id, agent, lambda: self.manager.fail_task(task_id, "why", agent_id=agent)):
            task.state, task.result = "failed", "why"

    @rule(task_id=tasks, agent=HOLDER_OR_AGENTS)
    def release(self, task_id: str, agent: str) -> None:
        agent = self.agent_of(task_id, agent)
        if self.accepted(task_id, agent, lambda: self.manager.release(agent, task_id)):
            task = self.model[task_id]
            task.state, task.agent, task.attempts = "pending", None, task.attempts - 1

    @rule(task_id=tasks)
    def cancel(self, task_id: str) -> None:
        task = self.model[task_id]
        assert self.manager.cancel_task(task_id) is not task.is_terminal
        if not task.is_terminal:
            task.state = "cancelled"

    @rule(task_id=tasks)
    def requeue(self, task_id: str) -> None:
        task = self.model[task_id]
        is_possible = task.state in {"failed", "cancelled"}
        assert self.manager.requeue_task(task_id) is is_possible
        if is_possible:
            task.state, task.agent, task.expiries, task.result = "pending", None, 0, None

    @rule(seconds=st.sampled_from([0.0, TTL / 2, TTL * 2]))
    def release_expired_claims(self, seconds: float) -> None:
        are_expired = seconds > TTL
        expected = [
            task_id
            for task_id, task in self.model.items()
            if are_expired and task.is_claimed and task.has_lease and task.expire()
        ]
        assert sorted(self.manager.release_expired_claims(time.monotonic() + seconds)) == sorted(expected)

    @rule(pool=POOLS)
    def create_pool(self, pool: str) -> None:
        created = self.pools.create_pool({"id": pool, "max_agents": 1})
        assert created.members == self.members.setdefault(pool, [])

    @rule(pool=POOLS, agent=AGENTS)
    def join(self, pool: str, agent: str) -> None:
        members = self.members.get(pool)
        if members is None:
            with pytest.raises(PoolNotFoundError):
                self.pools.join_pool(agent, pool)
        elif members and agent not in members:
            with pytest.raises(AdmissionDeniedError):
                self.pools.join_pool(agent, pool)
        else:
            self.pools.join_pool(agent, pool)
            self.members[pool] = [agent]

    @rule(pool=POOLS, agent=AGENTS)
    def leave(self, pool: str, agent: str) -> None:
        members = self.members.get(pool, [])
        assert self.pools.leave_pool(agent, pool) is (agent in members)
        if agent in members:
            members.remove(agent)

    @rule(pool=POOLS)
    def delete_pool(self, pool: str) -> None:
        assert self.pools.delete_pool(pool) is (self.members.pop(pool, None) is not None)

    @invariant()
    def audit_and_claims_agree(self) -> None:
        assert self.manager.audit() == []
        assert self.pools.audit() == []
        for agent in ("ann", "bob"):
            joined = sorted(pool for pool, members in self.members.items() if agent in members)
            assert sorted(self.pools.get_pools_for_agent(agent)) == joined
            claimed = {
                task_id for task_id, task in self.model.items() if task.is_claimed and task.agent == agent
            }
            assert {task.id for task in self.manager.list_claims(agent)} == claimed

    @invariant()
    def tasks_agree(self) -> None:
        for task_id, task in zip(self.model, self.manager.get_tasks(self.model), strict=True):
            expected = self.model[task_id]
            assert task is not None
            assert (task.state, task.attempts) == (expected.state, expected.attempts)
            assert task.assigned_to == expected.agent
            if expected.state == "completed":
                assert task.result == expected.result


def settings_with(examples: int) -> settings:
    return settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def test_the_fake_agrees_with_the_model() -> None:
    """Fewer examples than on a real server, as scripts on the fake take far longer."""

    class OnFake(TasksAndPools):
        def __init__(self) -> None:
            self.store = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer()))
            super().__init__()

    run_state_machine_as_test(OnFake, settings=settings_with(examples=8))


def test_a_real_server_agrees_with_the_model(real: Backend) -> None:
    class OnReal(TasksAndPools):
        def __init__(self) -> None:
            real.flush()
            self.store = real.store()
            super().__init__()

        def teardown(self) -> None:
            self.store.close()

    run_state_machine_as_test(OnReal, settings=settings_with(examples=25))
