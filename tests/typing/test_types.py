"""What type checkers see of the facades; `scripts/check` runs mypy (strict) over this file."""

import inspect
from collections.abc import Coroutine
from typing import Any, assert_type

from converge_redis import (
    AsyncPoolManager,
    AsyncRedisStore,
    AsyncTaskManager,
    Pool,
    PoolManager,
    RedisStore,
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
    ]
    assert signature.return_annotation == list[Task]
