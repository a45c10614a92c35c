"""Agents decide; executors execute the decisions and return their outcomes.

Run it with ``python -m examples.decisions``.
"""

from converge_redis import (
    ActionPolicy,
    Ballot,
    ClaimTask,
    DelegationProtocol,
    JoinPool,
    PoolManager,
    PoolSpec,
    RedisStore,
    ReportTask,
    StandardExecutor,
    Task,
    TaskManager,
    Vote,
)
from examples.processes import fleet, say


def agent(url: str, name: str) -> None:
    """Execute the same decisions in each process: one gets the task, two join the pool, each has one vote."""
    with RedisStore.from_url(url) as store:
        executor = StandardExecutor(
            name,
            TaskManager(store),
            PoolManager(store),
            delegation_protocol=DelegationProtocol(store),
            votes_store=Ballot(store, "lunch", voters=["ada", "bob", "eve"]),
            action_policy=ActionPolicy([JoinPool, ClaimTask, ReportTask, Vote]),
        )
        decisions = [JoinPool("two places"), ClaimTask("task"), Vote("lunch", "soup"), Vote("lunch", "cake")]
        for outcome in executor.execute(decisions):
            say(f"{name}: {type(outcome.decision).__name__}: {outcome.status}")


def main() -> None:
    """Wait for the result of the vote."""
    with fleet(agent, ("ada",), ("bob",), ("eve",)) as store:
        PoolManager(store).create_pool(PoolSpec(id="two places", max_agents=2))
        TaskManager(store).submit(Task(id="task"))
        ballot = Ballot(store, "lunch", voters=["ada", "bob", "eve"])
        ballot.open()
        result = ballot.wait_for_result(60)
        if result is not None:
            say(f"there will be {result.decision}")


if __name__ == "__main__":
    main()
