"""Executors: one outcome for each decision."""

from dataclasses import dataclass
from typing import Any

import pytest

from converge_redis import (
    AcceptProposal,
    ActionPolicy,
    AsyncBallot,
    AsyncBiddingProtocol,
    AsyncDelegationProtocol,
    AsyncNegotiationProtocol,
    AsyncPoolManager,
    AsyncStandardExecutor,
    AsyncTaskManager,
    Ballot,
    BiddingProtocol,
    ClaimTask,
    Consensus,
    CreatePool,
    Decision,
    Delegate,
    DelegationProtocol,
    InvalidValueError,
    JoinPool,
    LeavePool,
    NegotiationProtocol,
    PoolManager,
    PoolSpec,
    Propose,
    RejectProposal,
    ReportTask,
    RevokeDelegation,
    StandardExecutor,
    SubmitBid,
    SubmitTask,
    Task,
    TaskManager,
    Vote,
)
from tests.support.fleet import Fleet, InThreads


@dataclass(frozen=True)
class Wave(Decision):
    to: str


class Agent:
    """An agent whose executor has all managers and protocols; `options` replace some of them."""

    def __init__(self, fleet: Fleet, agent_id: str = "agent", **options: Any) -> None:
        self.tasks = fleet.protocol(TaskManager, AsyncTaskManager)
        self.pools = fleet.protocol(PoolManager, AsyncPoolManager)
        self.auction = fleet.protocol(BiddingProtocol, AsyncBiddingProtocol, auction_id="auction")
        self.negotiations = fleet.protocol(NegotiationProtocol, AsyncNegotiationProtocol)
        self.delegations = fleet.protocol(DelegationProtocol, AsyncDelegationProtocol)
        self.ballot = fleet.protocol(Ballot, AsyncBallot, vote_id="ballot")
        arguments: dict[str, Any] = {
            "task_manager": self.tasks,
            "pool_manager": self.pools,
            "bidding_protocols": {"auction": self.auction},
            "negotiation_protocol": self.negotiations,
            "delegation_protocol": self.delegations,
            "votes_store": self.ballot,
            **options,
        }
        self.executor: Any
        if fleet.style == "sync":
            blocking = {name: _blocking(argument) for name, argument in arguments.items()}
            self.executor = InThreads(StandardExecutor(agent_id, **blocking))
        else:
            self.executor = AsyncStandardExecutor(agent_id, **arguments)

    async def execute(self, *decisions: Any) -> list[Any]:
        outcomes: list[Any] = await self.executor.execute(decisions)
        assert [outcome.decision for outcome in outcomes] == list(decisions)
        return outcomes


def _blocking(argument: Any) -> Any:
    """Return the blocking object behind an awaitable one."""
    if isinstance(argument, dict) and argument:
        return {name: _blocking(value) for name, value in argument.items()}
    return argument._blocking if isinstance(argument, InThreads) else argument


def statuses(outcomes: list[Any]) -> list[str]:
    return [str(outcome.status) for outcome in outcomes]


async def test_every_kind_of_decision_is_executed(fleet: Fleet) -> None:
    agent, other = Agent(fleet), Agent(fleet, "other")
    task = Task(objective="x")
    session = await other.negotiations.create_session("other", ["agent"], 1)
    second = await other.negotiations.create_session("other", ["agent"], 1)
    outcomes = await agent.execute(
        SubmitTask(task),
        ClaimTask(task.id),
        ReportTask(task.id, "done"),
        CreatePool(PoolSpec(id="diggers")),
        JoinPool("diggers"),
        SubmitBid("auction", 3, "content"),
        Vote("ballot", "yes"),
        Propose(session, 2),
        RejectProposal(second),
        Delegate("helper", "read", expires_in_sec=1000),
    )
    assert statuses(outcomes) == ["done"] * 10, [outcome.reason for outcome in outcomes]
    assert outcomes[0].result == task.id
    assert (await other.execute(AcceptProposal(session, f"{session}:2")))[0].ok
    undone = await agent.execute(LeavePool("diggers"), RevokeDelegation(outcomes[-1].result))
    assert statuses(undone) == ["done"] * 2
    found = await agent.tasks.get_task(task.id)
    assert found is not None
    assert (found.result, found.assigned_to) == ("done", "agent")
    assert await agent.auction.resolve() == "agent"
    await agent.ballot.close()
    result = await agent.ballot.result()
    assert result is not None
    assert result.decision == "yes"


async def test_a_decision_that_fails_does_not_stop_the_next_one(fleet: Fleet) -> None:
    agent, other = Agent(fleet), Agent(fleet, "other")
    task_id = await other.tasks.submit(Task(objective="x"))
    await other.execute(ClaimTask(task_id), CreatePool(PoolSpec(id="full", max_agents=1)), JoinPool("full"))
    outcomes = await agent.execute(
        ClaimTask(task_id),
        ReportTask(task_id, 1),
        JoinPool("full"),
        JoinPool("none"),
        ClaimTask(""),
        SubmitBid("auction", float("nan")),
        Propose("unknown", 1),
        RevokeDelegation("unknown"),
        "no decision",
        Vote("ballot", "yes"),
    )
    assert statuses(outcomes) == [
        "refused",
        "refused",
        "refused",
        "failed",
        "failed",
        "failed",
        "refused",
        "refused",
        "failed",
        "done",
    ]
    assert all(outcome.reason for outcome in outcomes[:-1])
    assert "agent_id" not in str(outcomes[4].reason)
    assert "task_id" in str(outcomes[4].reason)


async def test_decisions_without_their_manager_are_not_supported(fleet: Fleet) -> None:
    agent = Agent(
        fleet,
        task_manager=None,
        pool_manager=None,
        bidding_protocols=None,
        negotiation_protocol=None,
        delegation_protocol=None,
        votes_store=None,
    )
    decisions = (
        ClaimTask("x"),
        JoinPool("x"),
        SubmitBid("auction", 1),
        Vote("ballot", 1),
        Propose("x", 1),
        Delegate("x", "y"),
        Wave("x"),
    )
    assert set(statuses(await agent.execute(*decisions))) == {"not_supported"}
    outcomes = await Agent(fleet).execute(SubmitBid("another", 1), Vote("another", 1))
    assert statuses(outcomes) == ["not_supported"] * 2


async def test_a_policy_allows_only_the_decisions_that_it_names(fleet: Fleet) -> None:
    policy = ActionPolicy(allowed_actions=["SubmitTask", "ClaimTask"], max_decisions=3)
    agent = Agent(fleet, action_policy=policy)
    task = Task()
    outcomes = await agent.execute(
        SubmitTask(task), JoinPool("diggers"), ClaimTask(task.id), ClaimTask(task.id)
    )
    assert statuses(outcomes) == ["done", "not_allowed", "done", "not_allowed"]
    assert "JoinPool" in outcomes[1].reason
    for invalid in ("ClaimTask", [ClaimTask("x")], [1]):
        with pytest.raises((TypeError, ValueError), match="allowed_actions"):
            ActionPolicy(allowed_actions=invalid)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="max_decisions"):
        ActionPolicy(max_decisions=-1)


async def test_handlers_replace_the_standard_execution(fleet: Fleet) -> None:
    async def wave(decision: Wave) -> str:
        return f"hello {decision.to}"

    def claim(_decision: ClaimTask) -> bool:
        return False

    handlers = {
        Wave: wave if fleet.style == "async" else lambda decision: f"hello {decision.to}",
        ClaimTask: claim,
    }
    outcomes = await Agent(fleet, handlers=handlers).execute(Wave("you"), ClaimTask("x"))
    assert (outcomes[0].result, *statuses(outcomes)) == ("hello you", "done", "refused")


async def test_votes_can_be_kept_in_a_dict_of_the_process_or_in_ballots(fleet: Fleet) -> None:
    votes: dict[str, Any] = {}
    for name, option in (("a", "x"), ("b", "x"), ("c", "y")):
        await Agent(fleet, name, votes_store=votes).execute(Vote("v", option))
    assert Consensus.majority_vote(option for _, option in votes["v"]) == "x"
    agent = Agent(fleet, votes_store={"ballot": Agent(fleet).ballot})
    assert statuses(await agent.execute(Vote("ballot", "x"))) == ["done"]
    assert statuses(await agent.execute(Vote("ballot", "x"))) == ["refused"]
