"""The types of the managers as type checkers see them; `scripts/check` runs mypy (strict) over this file."""

import inspect
from collections.abc import Coroutine
from typing import Any, assert_type

from converge_redis import (
    AsyncContractNet,
    AsyncPoolManager,
    AsyncRedisStore,
    AsyncSharedCache,
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
    NearStatistics,
    NegotiationProtocol,
    NegotiationSession,
    Pool,
    PoolManager,
    RedisStore,
    SharedCache,
    Tally,
    Task,
    TaskManager,
    VersionedValue,
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
    assert_type(store.put_if_absent("key", 1, ttl=5), bool)
    assert_type(store.compare_and_set("key", 1, 7), int | None)
    assert_type(store.get_versioned("key"), VersionedValue | None)
    assert_type(store.get_many(["key"]), dict[str, Any])
    assert_type(store.list("prefix"), list[str])
    assert_type(store.near_statistics(), NearStatistics)


def caches(cache: SharedCache) -> None:
    assert_type(cache.get_or_compute("key", lambda: "text", 60), str)

    @cache.cached(ttl=60, key="user:{user_id}", tags=["users"])
    def load(user_id: int, *, full: bool = False) -> dict[str, int]:
        return {"id": user_id, "full": full}

    assert_type(load(1, full=True), dict[str, int])
    assert_type(load.key(1), str)
    load("one")  # type: ignore[arg-type]
    load.invalidate(1, other=2)  # type: ignore[call-arg]


async def async_caches(cache: AsyncSharedCache) -> None:
    async def compute() -> str:
        return "text"

    assert_type(await cache.get_or_compute("key", compute, 60), str)
    assert_type(await cache.get_or_compute("key", lambda: 5, 60), int)

    @cache.cached(ttl=60)
    async def load(user_id: int) -> list[int]:
        return [user_id]

    assert_type(await load(1), list[int])
    await load("one")  # type: ignore[arg-type]


def protocols(
    negotiations: NegotiationProtocol,
    auction: BiddingProtocol,
    ballot: Ballot,
    delegations: DelegationProtocol,
) -> None:
    assert_type(negotiations.create_session("agent", ["other"], {"any": "thing"}, quorum="all"), str)
    assert_type(negotiations.accept("session", "agent", "proposal", strict=True), bool)
    assert_type(negotiations.wait_for_update("session", 1.0), NegotiationSession | None)
    assert_type(auction.submit_bid("agent", 3.5), bool)
    assert_type(auction.resolve(), str | None)
    assert_type(auction.wait_for_outcome(None), AuctionOutcome | None)
    assert_type(auction.bids(), list[Bid])
    assert_type(ballot.vote("agent", ["any", "thing"]), bool)
    assert_type(ballot.wait_for_result(1), Tally | None)
    assert_type(delegations.delegate("agent", "other", "scope"), str)
    assert_type(delegations.list_delegations(delegatee_id="agent"), list[Delegation])
    negotiations.accept("session")  # type: ignore[call-arg]
    auction.submit_bid("agent", "3")  # type: ignore[arg-type]


async def protocols_on_asyncio(net: AsyncContractNet, executor: AsyncStandardExecutor) -> None:
    assert_type(await net.call("agent", Task(), ["other"], reply_within_sec=1), str)
    assert_type(await net.wait_for_replies("task", 1), CallForProposals | None)
    assert_type(await executor.execute([]), list[DecisionOutcome])


async def on_asyncio(tasks: AsyncTaskManager, pools: AsyncPoolManager, store: AsyncRedisStore) -> None:
    assert_type(await tasks.submit(Task()), str)
    assert_type(await tasks.claim_next("agent", count=2), list[Task])
    assert_type(await tasks.wait_all(["task"], timeout=None), list[Task | None])
    assert_type(await pools.delete_pool("pool"), bool)
    assert_type(await store.list("prefix"), list[str])


def mistakes(tasks: TaskManager) -> None:
    # mypy reports an ignore that is not needed, so each line below must be an error.
    tasks.claim("agent")  # type: ignore[call-arg]
    tasks.claim("agent", 1)  # type: ignore[arg-type]
    tasks.claim_next("agent", number=1)  # type: ignore[call-arg]
    tasks.claim_next("agent", None, None, None, 1)  # type: ignore[call-arg]


def test_methods_have_their_signatures_at_run_time() -> None:
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
