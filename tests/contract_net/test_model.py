"""The contract net compared with a model, in any order of calls."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converge_redis import ContractNet, EmbeddedServer, RedisStore, Task, TaskManager

agents = st.sampled_from("abcz")
calls = st.lists(
    st.tuples(st.sampled_from(["propose", "propose", "refuse", "accept", "cancel"]), agents), max_size=12
)


@pytest.fixture(scope="module")
def store(server: EmbeddedServer) -> Iterator[RedisStore]:
    with RedisStore.from_url(server.url, "model of calls") as store:
        yield store


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(calls)
def test_every_call_has_the_result_of_the_model(store: RedisStore, sequence: list[tuple[str, str]]) -> None:
    net, tasks = ContractNet(store), TaskManager(store)
    task_id = net.call("boss", Task(), ["a", "b", "c"], reply_within_sec=1000)
    replies: dict[str, str] = {}
    contractor: str | None = None
    for method, agent in sequence:
        if method == "cancel":
            assert tasks.cancel_task(task_id), "claimed or not"
            assert contractor is not None or not net.accept(task_id, agent)
            break
        if method == "accept":
            allowed = contractor == agent or (contractor is None and replies.get(agent) == "propose")
            assert net.accept(task_id, agent) is allowed
            if allowed:
                contractor = agent
        else:
            allowed = contractor is None and agent in "abc"
            assert getattr(net, method)(task_id, agent) is allowed
            if allowed:
                replies[agent] = method
        assert [task.id for task in tasks.list_claims(agent) if task.id == task_id] == (
            [task_id] if contractor == agent else []
        )
    call = net.get_call(task_id)
    assert call is not None
    assert call.contractor_id == contractor
    proposers = {agent for agent, reply in replies.items() if reply == "propose"}
    assert {proposal.agent_id for proposal in call.proposals} == proposers
    assert set(call.refusals) == {agent for agent, reply in replies.items() if reply == "refuse"}
    assert (task_id in net.list_calls("a")) is ("a" not in replies and contractor is None)
