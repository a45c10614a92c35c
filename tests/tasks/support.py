"""Shared steps of the tests of tasks: tasks in a state, calls that wait, and the keys of listeners."""

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

import pytest
import redis

from converge_redis import AsyncTaskManager, Task
from converge_redis.core.operation import Operation, Procedure
from converge_redis.notifications.steps import on_listener
from converge_redis.tasks.claim_filter import encode_filter
from converge_redis.tasks.claim_queue import waiting_claimer
from converge_redis.tasks.claim_queue_operations import close_claim_queue, renew_claimers
from tests.support.backends import TIMEOUT, async_until
from tests.support.fleet import Fleet, names_of

T = TypeVar("T")

STATES = ["pending", "delayed", "assigned", "running", "completed", "failed", "cancelled"]
TERMINAL_STATES = ["cancelled", "completed", "failed"]

LONG_WAIT = 10 * TIMEOUT
"""Seconds that no test lasts: a call with this time-out never returns because its time is up."""

ASYNC_ONLY = pytest.mark.parametrize("fleet", ["async"], indirect=True)
"""For tests that cancel a call: a blocking call in a thread cannot be cancelled."""

FilterArgs = tuple[list[str] | None, list[str] | None, list[str] | None]
"""Pools, capabilities and topics, as `claim_next` takes them."""

NO_FILTER: FilterArgs = (None, None, None)

QUEUE_KINDS = ("waiting:", "door:", "profile:")
LISTENER_KINDS = (*QUEUE_KINDS, "watchers:", "listeners", "alarm")
"""The first parts of the keys about listeners."""


async def within_timeout(awaitable: Awaitable[T]) -> T:
    """Await a result; fail after `TIMEOUT`."""
    return await asyncio.wait_for(awaitable, TIMEOUT)


# Tasks


async def task_in_state(manager: AsyncTaskManager, state: str, result: Any = "result", **fields: Any) -> Task:
    """Submit a task, and bring it into a state; agent ``a`` claims it."""
    task = Task(**fields)
    await manager.submit(task, delay=1000 if state == "delayed" else 0)
    if state in {"assigned", "running", "completed"}:
        assert await manager.claim("a", task.id) is True
    if state == "running":
        assert await manager.start("a", task.id) is True
    if state == "completed":
        assert await manager.report("a", task.id, result) is True
    if state == "failed":
        assert await manager.fail_task(task.id, "reason") is True
    if state == "cancelled":
        assert await manager.cancel_task(task.id) is True
    return await read_task(manager, task.id)


async def read_task(manager: AsyncTaskManager, task_id: str) -> Task:
    """Return a task that exists."""
    task = await manager.get_task(task_id)
    assert task is not None
    return task


async def nonzero_counts(manager: AsyncTaskManager) -> dict[str, int]:
    """Return the counts of the states in which there are tasks."""
    return {state: number for state, number in (await manager.counts()).items() if number}


async def end_task(manager: AsyncTaskManager, task_id: str, state: str) -> None:
    """Bring a pending task into a terminal state."""
    if state == "completed":
        assert await manager.claim("a", task_id)
        assert await manager.report("a", task_id, "result")
    elif state == "failed":
        assert await manager.fail_task(task_id, "reason")
    else:
        assert await manager.cancel_task(task_id)


def resent(operation: Operation[Any]) -> Operation[Any]:
    """Return the operation as the client sends it again after a lost reply."""
    args = operation.retry_args or operation.args
    return Operation(operation.script, operation.keys, args, operation.decode)


# Listeners


async def subscribe(fleet: Fleet, manager: AsyncTaskManager) -> None:
    """Let the listener of a manager's store subscribe: no later message to it is lost."""
    await fleet.run(manager, _subscribe())


def _subscribe() -> Procedure[None]:
    claimer = yield from waiting_claimer(())
    assert (yield from on_listener(lambda _listener: claimer.wait_subscribed(TIMEOUT)))
    claimer.close()


def subscribed_clients(client: redis.Redis, shards: int = 1) -> list[dict[str, str]]:
    """Return the server's clients that are subscribed to all channels of a listener."""
    return [one for one in client.client_list(_type="pubsub") if int(one["sub"]) == shards + 1]


async def kill_subscription(client: redis.Redis) -> None:
    """Kill the connection of the only listener, once it is subscribed."""
    (listener,) = await async_until(lambda: subscribed_clients(client))
    assert client.client_kill_filter(_id=listener["id"]) == 1


def listener_keys(fleet: Fleet, *kinds: str) -> set[str]:
    """Return the keys about listeners; of some kinds only, if any are given."""
    raw: Any = fleet.raw
    names = [key.decode() for key in raw.keys("*")]
    return {name for name in names if name.partition("}:")[2].startswith(kinds or LISTENER_KINDS)}


async def until_unregistered(fleet: Fleet, *kinds: str) -> None:
    """Return once there are no keys about listeners; of some kinds only, if any are given."""
    await async_until(lambda: not listener_keys(fleet, *kinds))


async def until_watched(fleet: Fleet, task_id: str) -> None:
    """Return once a listener is registered for the end of a task."""
    key = names_of(fleet.namespaces["test"].keys, task_id)["watchers"]
    await async_until(lambda: fleet.raw.exists(key))


# Claims that wait


def places(fleet: Fleet) -> set[tuple[str, bytes]]:
    """Return the places in the claim queues: the key of the queue, and the claimer."""
    raw: Any = fleet.raw
    return {(key, place) for key in listener_keys(fleet, "waiting:") for place in raw.zrange(key, 0, -1)}


async def until_places(fleet: Fleet, number: int) -> None:
    """Return once there are so many places in the claim queues."""
    await async_until(lambda: len(places(fleet)) == number)


def start_claim(
    manager: AsyncTaskManager, agent: str, filters: FilterArgs = NO_FILTER, **options: Any
) -> "asyncio.Task[list[Task]]":
    """Start a claim that waits for tasks."""
    return asyncio.create_task(manager.claim_next(agent, *filters, wait=LONG_WAIT, **options))


async def claimed_ids(*claims: "asyncio.Task[list[Task]]") -> list[str]:
    """Return the ids of the tasks that claims return; each has to return some."""
    claimed = await within_timeout(asyncio.gather(*claims))
    assert all(claimed)
    return [task.id for tasks in claimed for task in tasks]


class ManualListener:
    """A listener that registers claimers, receives messages, and claims nothing."""

    def __init__(self, fleet: Fleet, manager: AsyncTaskManager, name: str = "manual") -> None:
        self._fleet, self._manager, self._name = fleet, manager, name
        self._channel = fleet.namespaces["test"].keys.channel(0, name)
        self._pubsub = fleet.raw.pubsub()  # type: ignore[no-untyped-call]
        self._pubsub.subscribe(self._channel)
        self._receive()

    def _receive(self) -> Any:
        message = self._pubsub.get_message(timeout=TIMEOUT)
        assert message is not None
        return message["data"]

    async def register(self, number: int, filters: FilterArgs = NO_FILTER) -> list[tuple[str, int]]:
        """Put a claimer into the queue, or renew its place; return the lanes that have work for it."""
        namespace, claim_filter = self._fleet.namespaces["test"], encode_filter(*filters)
        renewal = renew_claimers(namespace, 0, self._name, claim_filter, [number])
        _, lanes = await self._fleet.run(self._manager, renewal)
        return list(lanes)

    def messages(self) -> list[bytes]:
        """Return all messages that were published to it since the last call."""
        last = b"the last one so far"
        self._fleet.raw.publish(self._channel, last)
        return list(iter(self._receive, last))

    async def close(self) -> None:
        """Unregister it."""
        await self._fleet.run(self._manager, close_claim_queue(self._fleet.namespaces["test"], 0, self._name))
        self._pubsub.close()
