"""A call whose reply was lost is sent again: twice has the effect and outcome of once."""

from collections.abc import Callable
from typing import Any

import pytest

from converge_redis import AsyncTaskManager, ConvergeError, Task, TaskState
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.store import values
from converge_redis.tasks import claim as claiming
from converge_redis.tasks import lease as holding
from converge_redis.tasks import settle as settling
from converge_redis.tasks import submit as submitting
from tests.support.fleet import Fleet, first_operation
from tests.tasks.test_states import brought_to, counted, read


def again(operation: Operation[Any]) -> Operation[Any]:
    """The operation as it is sent after a lost reply."""
    args = operation.retry_args or operation.args
    return Operation(operation.script, operation.keys, args, operation.decode)


OPERATIONS: list[tuple[str, str, Callable[[Namespace, Task], Operation[Any]]]] = [
    ("claim", "pending", lambda space, task: claiming.claim(space, "a", task.id)),
    ("claim refused", "assigned", lambda space, task: claiming.claim(space, "b", task.id)),
    ("start", "assigned", lambda space, task: holding.start(space, "a", task.id)),
    ("extend", "assigned", lambda space, task: holding.extend_claim(space, "a", task.id)),
    ("release", "running", lambda space, task: holding.release(space, "a", task.id)),
    ("release later", "running", lambda space, task: holding.release(space, "a", task.id, delay=1000)),
    ("release refused", "running", lambda space, task: holding.release(space, "b", task.id)),
    ("report", "assigned", lambda space, task: settling.report(space, "a", task.id, {"x": {1, 2, 3}})),
    ("report refused", "running", lambda space, task: settling.report(space, "b", task.id, 1)),
    ("fail", "pending", lambda space, task: settling.fail_task(space, task.id, "why")),
    (
        "fail as holder",
        "running",
        lambda space, task: settling.fail_task(space, task.id, "why", agent_id="a"),
    ),
    ("fail refused", "completed", lambda space, task: settling.fail_task(space, task.id, "why")),
    ("cancel", "running", lambda space, task: settling.cancel_task(space, task.id)),
    ("cancel refused", "failed", lambda space, task: settling.cancel_task(space, task.id)),
    ("requeue", "failed", lambda space, task: first_operation(submitting.requeue_task(space, task.id))),
    (
        "requeue refused",
        "pending",
        lambda space, task: first_operation(submitting.requeue_task(space, task.id)),
    ),
]


async def outcome(fleet: Fleet, manager: AsyncTaskManager, operation: Operation[Any]) -> Any:
    try:
        return await fleet.run(manager, operation)
    except ConvergeError as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    ("state", "make"), [row[1:] for row in OPERATIONS], ids=[row[0] for row in OPERATIONS]
)
async def test_twice_is_once(
    fleet: Fleet, state: str, make: Callable[[Namespace, Task], Operation[Any]]
) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, state, constraints={"max_retries": 3})
    operation = make(fleet.namespaces["test"], task)
    first = await outcome(fleet, manager, operation)
    after_first = await read(manager, task.id), await manager.counts()
    assert await outcome(fleet, manager, again(operation)) == first
    assert (await read(manager, task.id), await manager.counts()) == after_first


async def test_submit_twice_with_a_claim_in_between(fleet: Fleet) -> None:
    manager = fleet.manager()
    for delay in (0, 1000):
        task = Task()
        operation = submitting.submit(fleet.namespaces["test"], task, delay=delay)
        assert await fleet.run(manager, operation) == task.id
        if delay:
            fleet.past(task, "due")
        assert await manager.claim("b", task.id) is True
        before = await read(manager, task.id)
        assert await fleet.run(manager, again(operation)) == task.id
        assert await read(manager, task.id) == before


async def test_claim_twice_after_it_was_taken_away(fleet: Fleet) -> None:
    """The answer is the first one; the claim is lost all the same, and a later verb tells so."""
    manager = fleet.manager()
    task = await brought_to(manager, "pending", constraints={"claim_ttl_sec": 1000})
    operation = claiming.claim(fleet.namespaces["test"], "a", task.id)
    assert await fleet.run(manager, operation) is True
    fleet.past(task, "lease")
    assert await manager.claim("b", task.id) is True
    before = await read(manager, task.id)
    assert await fleet.run(manager, again(operation)) is True
    assert await read(manager, task.id) == before
    assert await manager.extend_claim("a", task.id) is False


async def test_release_twice_after_another_agent_has_claimed(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "running")
    operation = holding.release(fleet.namespaces["test"], "a", task.id)
    assert await fleet.run(manager, operation) is True
    for claimer in ("b", "a"):
        assert await manager.claim(claimer, task.id) is True
        before = await read(manager, task.id)
        assert await fleet.run(manager, again(operation)) is True
        assert await read(manager, task.id) == before
        if claimer == "b":
            await manager.release("b", task.id)


async def test_release_twice_after_another_agent_has_reported(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "running")
    operation = holding.release(fleet.namespaces["test"], "a", task.id)
    assert await fleet.run(manager, operation) is True
    assert await manager.claim("b", task.id) is True
    assert await manager.report("b", task.id, 1) is True
    before = await read(manager, task.id)
    assert await fleet.run(manager, again(operation)) is True
    assert await read(manager, task.id) == before


async def test_fail_and_cancel_twice_after_a_requeue(fleet: Fleet) -> None:
    manager = fleet.manager()
    space = fleet.namespaces["test"]
    makers: list[Callable[[str], Operation[bool]]] = [
        lambda task_id: settling.fail_task(space, task_id, "why"),
        lambda task_id: settling.fail_task(space, task_id, "why", agent_id="a"),
        lambda task_id: settling.cancel_task(space, task_id),
    ]
    for make in makers:
        task = await brought_to(manager, "running")
        operation = make(task.id)
        assert await fleet.run(manager, operation) is True
        assert await manager.requeue_task(task.id) is True
        assert await manager.claim("b", task.id) is True
        assert await fleet.run(manager, again(operation)) is True
        assert (await read(manager, task.id)).state is TaskState.ASSIGNED


async def test_requeue_twice_after_another_failure(fleet: Fleet) -> None:
    manager = fleet.manager()
    task = await brought_to(manager, "failed")
    operation = first_operation(submitting.requeue_task(fleet.namespaces["test"], task.id))
    assert await fleet.run(manager, operation) is True
    assert await manager.cancel_task(task.id) is True
    assert await fleet.run(manager, again(operation)) is True
    assert (await read(manager, task.id)).state is TaskState.CANCELLED


@pytest.mark.parametrize("count", [1, 3, 250])
async def test_claim_next_twice(fleet: Fleet, count: int) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(id=f"{number:03}", priority=number % 7) for number in range(count * 2))
    operation = claiming.claim_next(fleet.namespaces["test"], "a", count=count)
    assert isinstance(operation, Operation)
    first = await fleet.run(manager, operation)
    assert len(first) == count
    assert await manager.claim_next("a")  # another claim of the same agent
    before = await counted(manager)
    tasks = await fleet.run(manager, again(operation))
    assert tasks == first
    assert await counted(manager) == before


async def test_claim_next_twice_does_not_return_what_was_reported_or_given_back(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(id=f"{number}") for number in range(3))
    operation = claiming.claim_next(fleet.namespaces["test"], "a", count=3)
    assert isinstance(operation, Operation)
    await fleet.run(manager, operation)
    await manager.release("a", "1")
    await manager.claim("b", "1")
    tasks = await fleet.run(manager, again(operation))
    assert [task.id for task in tasks] == ["0", "2"]


async def test_claim_next_twice_when_there_was_nothing(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    operation = claiming.claim_next(fleet.namespaces["test"], "a")
    assert isinstance(operation, Operation)
    assert await fleet.run(manager, operation) == []
    task_id = await manager.submit(Task())
    assert [task.id for task in await fleet.run(manager, again(operation))] == [task_id]
    assert [task.id for task in await fleet.run(manager, again(operation))] == [task_id]
    assert await counted(manager) == {"assigned": 1}


async def test_put_if_absent_twice(fleet: Fleet) -> None:
    manager, store = fleet.manager(), fleet.store()
    space = fleet.namespaces["test"]
    operation = first_operation(values.compare_and_set(space, "key", 1, 0))
    assert await fleet.run(manager, operation) == 1
    assert await fleet.run(manager, again(operation)) == 1
    assert await store.put_if_absent("key", 2) is False
    refused = first_operation(values.compare_and_set(space, "key", 3, 0))
    assert await fleet.run(manager, refused) is None
    assert await fleet.run(manager, again(refused)) is None
    assert await store.get("key") == 1
