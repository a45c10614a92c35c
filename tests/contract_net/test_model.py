"""The Contract Net held against a pure model, in any order of acts."""

import fakeredis
from hypothesis import given, settings
from hypothesis import strategies as st

from converge_redis import ContractNet, RedisStore, Task, TaskManager

STORE = RedisStore(fakeredis.FakeRedis(server=fakeredis.FakeServer()))
agents = st.sampled_from("abcz")
acts = st.lists(
    st.tuples(st.sampled_from(["propose", "propose", "refuse", "accept", "cancel"]), agents), max_size=12
)


@given(acts)
@settings(deadline=None, max_examples=300)
def test_every_act_is_as_the_model_says(made: list[tuple[str, str]]) -> None:
    net, tasks = ContractNet(STORE), TaskManager(STORE)
    task_id = net.call("boss", Task(), ["a", "b", "c"], reply_within_sec=1000)
    replies: dict[str, str] = {}
    contractor: str | None = None
    for act, agent in made:
        if act == "cancel":
            assert tasks.cancel_task(task_id), "held or not"
            assert contractor is not None or not net.accept(task_id, agent)
            break
        if act == "accept":
            allowed = contractor == agent or (contractor is None and replies.get(agent) == "propose")
            assert net.accept(task_id, agent) is allowed
            if allowed:
                contractor = agent
        else:
            allowed = contractor is None and agent in "abc"
            assert getattr(net, act)(task_id, agent) is allowed
            if allowed:
                replies[agent] = act
        assert [task.id for task in tasks.list_claims(agent) if task.id == task_id] == (
            [task_id] if contractor == agent else []
        )
    call = net.get_call(task_id)
    assert call is not None
    assert call.contractor_id == contractor
    assert {one.agent_id for one in call.proposals} == {one for one in replies if replies[one] == "propose"}
    assert set(call.refusals) == {one for one in replies if replies[one] == "refuse"}
    assert (task_id in net.list_calls("a")) is ("a" not in replies and contractor is None)
