"""What type checkers see of the facades; `scripts/check` runs mypy (strict) over this file."""

import inspect
from collections.abc import Coroutine
from typing import Any, assert_type

from converge_redis import (
    AsyncContractNet,
    AsyncPoolManager,
    AsyncRedisStore,
    AsyncStandardExecutor,
    AsyncTaskManager,
    AuctionOutcome,
    Ballot,
    Bid,
    BiddingProtocol,
    CallForProposals,
    DecisionOutcome,
    Delegation,
    DelegationProtocol,
    NegotiationProtocol,
    NegotiationSession,
    Pool,
    PoolManager,
    RedisStore,
    Tally,
    Task,
    TaskManager,
)


def blocking(tasks: TaskManager, pools: PoolManager, store: RedisStore) -> None:
    assert_type(tasks.submit(Task()), str)
    assert_type(tasks.submit_many([Task()]), list[str])
    assert_type(tasks.claim("agent", task_id="task"), bool)
    assert_type(tasks.claim_next("agent", ["pool"], None, topics=["topic"], count=2, wait=0.5), list[Task])
    assert_type(tasks.extend_claim("agent", "task", claim_token=1), bool)
    assert_type(tasks.report("agent", "task", {"any": "thing"}), bool)
    assert_type(tasks.get_task("task"), Task | None)
    assert_type(tasks.get_tasks(["task"]), list[Task | None])
    assert_type(tasks.counts(), dict[str, int])
    assert_type(tasks.refresh_from_store(), None)
    assert_type(tasks.wait("task", 1), Task | None)
    assert_type(TaskManager.wait_until_done(tasks, "task", 1), Coroutine[Any, Any, Task | None]).close()
    assert_type(pools.get_pool("pool"), Pool | None)
    assert_type(pools.get_pools_for_agent("agent"), list[str])
    assert_type(store.put_if_absent("key", 1), bool)


def protocols(
    talks: NegotiationProtocol, auction: BiddingProtocol, ballot: Ballot, rights: DelegationProtocol
) -> None:
    assert_type(talks.create_session("agent", ["other"], {"any": "thing"}, quorum="all"), str)
    assert_type(talks.accept("session", "agent", "proposal", strict=True), bool)
    assert_type(talks.wait_for_update("session", 1.0), NegotiationSession | None)
    assert_type(auction.submit_bid("agent", 3.5), bool)
    assert_type(auction.resolve(), str | None)
    assert_type(auction.wait_for_outcome(None), AuctionOutcome | None)
    assert_type(auction.bids(), list[Bid])
    assert_type(ballot.vote("agent", ["any", "thing"]), bool)
    assert_type(ballot.wait_for_result(1), Tally | None)
    assert_type(rights.delegate("agent", "other", "scope"), str)
    assert_type(rights.delegations_to("agent"), list[Delegation])
    talks.accept("session")  # type: ignore[call-arg]
    auction.submit_bid("agent", "3")  # type: ignore[arg-type]


async def protocols_on_asyncio(net: AsyncContractNet, executor: AsyncStandardExecutor) -> None:
    assert_type(await net.call("agent", Task(), ["other"], reply_by=1), str)
    assert_type(await net.wait_for_replies("task", 1), CallForProposals | None)
    assert_type(await executor.execute([]), list[DecisionOutcome])


async def on_asyncio(tasks: AsyncTaskManager, pools: AsyncPoolManager, store: AsyncRedisStore) -> None:
    assert_type(await tasks.submit(Task()), str)
    assert_type(await tasks.claim_next("agent", count=2), list[Task])
    assert_type(await tasks.wait_all(["task"], timeout=None), list[Task | None])
    assert_type(await pools.delete_pool("pool"), bool)
    assert_type(await store.list("prefix"), list[str])


def mistakes(tasks: TaskManager) -> None:
    # An ignore that is not needed is an error: each line below is refused.
    tasks.claim("agent")  # type: ignore[call-arg]
    tasks.claim("agent", 1)  # type: ignore[arg-type]
    tasks.claim_next("agent", number=1)  # type: ignore[call-arg]
    tasks.claim_next("agent", None, None, None, 1)  # type: ignore[call-arg]


def test_signatures_are_there_at_run_time() -> None:
    signature = inspect.signature(TaskManager.claim_next)
    assert list(signature.parameters) == [
        "self",
        "agent_id",
        "pool_ids",
        "capabilities",
        "topics",
        "count",
        "wait",
        "enforce",
        "on_behalf_of",
    ]
    assert signature.return_annotation == list[Task]
