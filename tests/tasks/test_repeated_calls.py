"""Repeated calls: a call whose reply was lost is sent again, and has the effect and the result of one."""

from collections.abc import Callable
from typing import Any

import pytest

from converge_redis import AsyncTaskManager, ConvergeError, Task, TaskState
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.store import values
from converge_redis.tasks.claim import claim, claim_next
from converge_redis.tasks.lease import extend_claim, release, start
from converge_redis.tasks.settle import cancel_task, fail_task, report
from converge_redis.tasks.submit import requeue_task, submit
from tests.support.fleet import Fleet, first_operation
from tests.tasks.support import nonzero_counts, read_task, resent, task_in_state

MakeOperation = Callable[[Namespace, str], Operation[Any]]

OPERATIONS: list[tuple[str, str, MakeOperation]] = [
    ("claim", "pending", lambda namespace, task_id: claim(namespace, "a", task_id)),
    ("claim refused", "assigned", lambda namespace, task_id: claim(namespace, "b", task_id)),
    ("start", "assigned", lambda namespace, task_id: start(namespace, "a", task_id)),
    ("extend", "assigned", lambda namespace, task_id: extend_claim(namespace, "a", task_id)),
    ("release", "running", lambda namespace, task_id: release(namespace, "a", task_id)),
    ("release later", "running", lambda namespace, task_id: release(namespace, "a", task_id, delay=1000)),
    ("release refused", "running", lambda namespace, task_id: release(namespace, "b", task_id)),
    ("report", "assigned", lambda namespace, task_id: report(namespace, "a", task_id, {"x": {1, 2, 3}})),
    ("report refused", "running", lambda namespace, task_id: report(namespace, "b", task_id, 1)),
    ("fail", "pending", lambda namespace, task_id: fail_task(namespace, task_id, "why")),
    (
        "fail as holder",
        "running",
        lambda namespace, task_id: fail_task(namespace, task_id, "why", agent_id="a"),
    ),
    ("fail refused", "completed", lambda namespace, task_id: fail_task(namespace, task_id, "why")),
    ("cancel", "running", cancel_task),
    ("cancel refused", "failed", cancel_task),
    ("requeue", "failed", lambda namespace, task_id: first_operation(requeue_task(namespace, task_id))),
    (
        "requeue refused",
        "pending",
        lambda namespace, task_id: first_operation(requeue_task(namespace, task_id)),
    ),
]


async def outcome(fleet: Fleet, manager: AsyncTaskManager, operation: Operation[Any]) -> Any:
    """Execute an operation; return its result, or the type and message of its error."""
    try:
        return await fleet.run(manager, operation)
    except ConvergeError as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("state", "make"), [row[1:] for row in OPERATIONS], ids=[row[0] for row in OPERATIONS]
)
async def test_a_repeated_call_has_the_effect_of_one(fleet: Fleet, state: str, make: MakeOperation) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, state, constraints={"max_retries": 3})
    operation = make(fleet.namespaces["test"], task.id)
    first = await outcome(fleet, manager, operation)
    after_first = await read_task(manager, task.id), await manager.counts()
    assert await outcome(fleet, manager, resent(operation)) == first
    assert (await read_task(manager, task.id), await manager.counts()) == after_first


async def test_a_repeated_submit_after_a_claim(fleet: Fleet) -> None:
    manager = fleet.manager()
    for delay in (0, 1000):
        task = Task()
        operation = submit(fleet.namespaces["test"], task, delay=delay)
        assert await fleet.run(manager, operation) == task.id
        if delay:
            fleet.past(task, "due")
        assert await manager.claim("b", task.id) is True
        before = await read_task(manager, task.id)
        assert await fleet.run(manager, resent(operation)) == task.id
        assert await read_task(manager, task.id) == before


async def test_a_repeated_claim_after_another_agent_has_claimed(fleet: Fleet) -> None:
    """The reply is the first one. The claim is lost, as the next call shows."""
    manager = fleet.manager()
    task = await task_in_state(manager, "pending", constraints={"claim_ttl_sec": 1000})
    operation = claim(fleet.namespaces["test"], "a", task.id)
    assert await fleet.run(manager, operation) is True
    fleet.past(task, "lease")
    assert await manager.claim("b", task.id) is True
    before = await read_task(manager, task.id)
    assert await fleet.run(manager, resent(operation)) is True
    assert await read_task(manager, task.id) == before
    assert await manager.extend_claim("a", task.id) is False


async def test_a_repeated_release_after_another_agent_has_claimed(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "running")
    operation = release(fleet.namespaces["test"], "a", task.id)
    assert await fleet.run(manager, operation) is True
    for claimer in ("b", "a"):
        assert await manager.claim(claimer, task.id) is True
        before = await read_task(manager, task.id)
        assert await fleet.run(manager, resent(operation)) is True
        assert await read_task(manager, task.id) == before
        if claimer == "b":
            await manager.release("b", task.id)


async def test_a_repeated_release_after_another_agent_has_reported(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "running")
    operation = release(fleet.namespaces["test"], "a", task.id)
    assert await fleet.run(manager, operation) is True
    assert await manager.claim("b", task.id) is True
    assert await manager.report("b", task.id, 1) is True
    before = await read_task(manager, task.id)
    assert await fleet.run(manager, resent(operation)) is True
    assert await read_task(manager, task.id) == before


async def test_a_repeated_fail_or_cancel_after_a_requeue(fleet: Fleet) -> None:
    manager = fleet.manager()
    namespace = fleet.namespaces["test"]
    makers: list[Callable[[str], Operation[bool]]] = [
        lambda task_id: fail_task(namespace, task_id, "why"),
        lambda task_id: fail_task(namespace, task_id, "why", agent_id="a"),
        lambda task_id: cancel_task(namespace, task_id),
    ]
    for make in makers:
        task = await task_in_state(manager, "running")
        operation = make(task.id)
        assert await fleet.run(manager, operation) is True
        assert await manager.requeue_task(task.id) is True
        assert await manager.claim("b", task.id) is True
        assert await fleet.run(manager, resent(operation)) is True
        assert (await read_task(manager, task.id)).state is TaskState.ASSIGNED


async def test_a_repeated_requeue_after_another_end(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await task_in_state(manager, "failed")
    operation = first_operation(requeue_task(fleet.namespaces["test"], task.id))
    assert await fleet.run(manager, operation) is True
    assert await manager.cancel_task(task.id) is True
    assert await fleet.run(manager, resent(operation)) is True
    assert (await read_task(manager, task.id)).state is TaskState.CANCELLED


@pytest.mark.parametrize("count", [1, 3, 250])
async def test_a_repeated_claim_next_returns_the_same_tasks(fleet: Fleet, count: int) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(id=f"{number:03}", priority=number % 7) for number in range(count * 2))
    operation = claim_next(fleet.namespaces["test"], "a", count=count)
    assert isinstance(operation, Operation)
    first = await fleet.run(manager, operation)
    assert len(first) == count
    assert await manager.claim_next("a")  # another claim of the same agent
    before = await nonzero_counts(manager)
    assert await fleet.run(manager, resent(operation)) == first
    assert await nonzero_counts(manager) == before


async def test_a_repeated_claim_next_leaves_out_released_tasks(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(id=f"{number}") for number in range(3))
    operation = claim_next(fleet.namespaces["test"], "a", count=3)
    assert isinstance(operation, Operation)
    await fleet.run(manager, operation)
    await manager.release("a", "1")
    await manager.claim("b", "1")
    tasks = await fleet.run(manager, resent(operation))
    assert [task.id for task in tasks] == ["0", "2"]


async def test_a_repeated_claim_next_may_find_what_the_first_did_not(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    operation = claim_next(fleet.namespaces["test"], "a")
    assert isinstance(operation, Operation)
    assert await fleet.run(manager, operation) == []
    task_id = await manager.submit(Task())
    assert [task.id for task in await fleet.run(manager, resent(operation))] == [task_id]
    assert [task.id for task in await fleet.run(manager, resent(operation))] == [task_id]
    assert await nonzero_counts(manager) == {"assigned": 1}


async def test_a_repeated_put_if_absent_returns_the_first_outcome(fleet: Fleet) -> None:
    manager, store = fleet.manager(), fleet.store()
    namespace = fleet.namespaces["test"]
    operation = first_operation(values.compare_and_set(namespace, "key", 1, 0))
    assert await fleet.run(manager, operation) == 1
    assert await fleet.run(manager, resent(operation)) == 1
    assert await store.put_if_absent("key", 2) is False
    refused = first_operation(values.compare_and_set(namespace, "key", 3, 0))
    assert await fleet.run(manager, refused) is None
    assert await fleet.run(manager, resent(refused)) is None
    assert await store.get("key") == 1
