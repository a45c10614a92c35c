"""Verbs that read tasks: get_task, get_tasks, my_claims, the lists, counts, explain_claim."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

from converge_redis.core.keys import lane
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Argument, Operation, Steps, ask, ask_all, near
from converge_redis.core.scripts import Script
from converge_redis.core.validation import check_id, check_ids, check_integer
from converge_redis.tasks.claim import visible_lanes
from converge_redis.tasks.constraints import DEFAULT_RETENTION_SEC
from converge_redis.tasks.model import Task, TaskState
from converge_redis.tasks.replies import read_task, record_of

_GET_TASKS = Script("tasks/get_tasks")
_MY_CLAIMS = Script("tasks/my_claims")
_LIST_PENDING = Script("tasks/list_pending")
_LIST_BEST = Script("tasks/list_best")
_COUNTS = Script("tasks/counts")
_SWEEP = Script("tasks/sweep")

TASKS_PER_SCRIPT = 200
MOST_BEST = 500
"""Up to so many tasks are listed by one script, which looks at all lanes; more are read lane by lane."""

MOST_SWEEPS = 1000
"""Scripts that clear away what is over before a list or a count; each does a bounded part."""

T = TypeVar("T")

NO_LIMIT = 2**53


def get_task(space: Namespace, task_id: str) -> Steps[Task | None]:
    """Read one task, as it is now: a lease or deadline that has passed is applied first.

    Args:
        task_id: The task's id.

    Returns:
        A snapshot; None when the task is unknown, or was deleted after its retention.
    """
    check_id("task_id", task_id)
    work = Operation(_GET_TASKS, space.keys.shard_with(task_id), (task_id,), lambda reply: reply[1:])
    copies = yield from near()
    if copies is None:
        _, row = yield from ask(work)
        return read_task(row) if row else None
    with copies.reading([space.keys.reopened(task_id)]) as reading:
        now, row = yield from ask(work)
        if not row:
            return None
        task = read_task(row)
        if task.state.terminal:  # it changes no more, unless somebody requeues it
            lasts = _kept_until(row) - int(now) / 1e6
            reading.keep(("get_task", task_id), task, partial(read_task, row), _size(row), lasts=lasts)
        return task


def _kept_until(row: Sequence[Any]) -> float:
    record = record_of(row)
    retention = int(record["retention"]) / 1e6 if "retention" in record else DEFAULT_RETENTION_SEC
    return int(record["finished"]) / 1e6 + retention


def _size(row: Sequence[Any]) -> int:
    return sum(len(part) for part in row if part is not None)


def get_tasks(space: Namespace, task_ids: Iterable[str]) -> Steps[list[Task | None]]:
    """Read several tasks; see `get_task`.

    Args:
        task_ids: The ids.

    Returns:
        One entry for each id, in their order: a snapshot, or None.
    """
    return (yield from _read_all(space, check_ids("task_ids", task_ids), _read_tasks))


def _read_all(
    space: Namespace, ids: tuple[str, ...], read: Callable[[Sequence[Any]], list[T]]
) -> Steps[list[T]]:
    by_shard: dict[int, list[str]] = {}
    for task_id in dict.fromkeys(ids):
        by_shard.setdefault(space.keys.shard_of(task_id), []).append(task_id)
    found: dict[str, T] = {}
    for shard, of_shard in by_shard.items():
        for start in range(0, len(of_shard), TASKS_PER_SCRIPT):
            chunk = of_shard[start : start + TASKS_PER_SCRIPT]
            entries = yield from ask(Operation(_GET_TASKS, space.keys.shard(shard), tuple(chunk), read))
            found.update(zip(chunk, entries, strict=True))
    return [found[task_id] for task_id in ids]


def _read_tasks(reply: Sequence[Any]) -> list[Task | None]:
    return [read_task(row) if row else None for row in reply[2:]]


def my_claims(space: Namespace, agent_id: str) -> Steps[list[Task]]:
    """Read the tasks that an agent holds, with their claim tokens: what an agent that restarts has in hand.

    Args:
        agent_id: The agent.

    Returns:
        Snapshots, oldest claim first.
    """
    check_id("agent_id", agent_id)
    claims: list[Task] = []
    for shard in range(space.shards):
        more, after = True, "-inf"
        while more:
            more, after, tasks = yield from ask(
                Operation(
                    _MY_CLAIMS, space.keys.shard(shard), (agent_id, after, TASKS_PER_SCRIPT), _read_claims
                )
            )
            claims += tasks
    return sorted(claims, key=lambda task: task.claim_token or 0)


def _read_claims(reply: Sequence[Any]) -> tuple[bool, str, list[Task]]:
    return reply[0] == b"MORE", reply[1].decode(), [read_task(row) for row in reply[2:]]


def refresh_from_store(_space: Namespace) -> Steps[None]:
    """Have every read that follows go to the server: drops the copies of a near cache, if there is one.

    Without one every read goes there anyway.
    """
    copies = yield from near()
    if copies is not None:
        copies.drop_all()


def list_pending_tasks(
    space: Namespace, *, refresh_from_store: bool = False, limit: int | None = None
) -> Steps[list[Task]]:
    """List the tasks that can be claimed, in the order in which they would be.

    Args:
        refresh_from_store: Accepted as in the in-memory interface; every list is read from the store.
        limit: The most tasks to list; None: all.

    Returns:
        Snapshots, by priority, then by id. Delayed tasks are not among them.
    """
    return _list(space, visible_lanes(None, None, None), limit)


def list_pending_tasks_for_agent(
    space: Namespace,
    agent_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
    *,
    sort_by_priority: bool = False,
    refresh_from_store: bool = False,
    limit: int | None = None,
) -> Steps[list[Task]]:
    """List the tasks that an agent may claim, in the order in which `claim_next` would claim them.

    A task without a pool, topic or required capability is open to all. A filter that is None is not applied;
    an empty one lets only such open tasks through.

    Args:
        agent_id: The agent; the filters decide, not the id.
        pool_ids: The pools that the agent is in.
        capabilities: What the agent can do; a task needs all of its required ones among them.
        topics: The topics that the agent takes.
        sort_by_priority: Accepted as in the in-memory interface; the list is always in this order.
        refresh_from_store: Accepted as in the in-memory interface; every list is read from the store.
        limit: The most tasks to list; None: all.

    Returns:
        Snapshots, by priority, then by id. Delayed tasks are not among them.
    """
    check_id("agent_id", agent_id)
    return _list(space, visible_lanes(pool_ids, capabilities, topics), limit)


def _list(space: Namespace, visible: tuple[Argument, ...], limit: int | None) -> Steps[list[Task]]:
    most = NO_LIMIT if limit is None else check_integer("limit", limit, 1, NO_LIMIT)
    listed: list[Task] = []
    for shard in range(space.shards):
        yield from _sweep(space, shard)
        if most <= MOST_BEST:
            best = Operation(_LIST_BEST, space.keys.shard(shard), (most, *visible), _read_page)
            listed += (yield from ask(best))[1]
            continue
        place: tuple[Argument, ...] = ("", "", "")
        more = True
        while more:
            more, tasks = yield from ask(
                Operation(
                    _LIST_PENDING,
                    space.keys.shard(shard),
                    (TASKS_PER_SCRIPT, most, *place, *visible),
                    _read_page,
                )
            )
            listed += tasks
            if tasks:
                last = tasks[-1]
                name = lane(last.pool_id, last.topic, last.required_capabilities)
                place = (name, last.priority, last.id)
    listed.sort(key=lambda task: (-task.priority, task.id.encode()))
    return listed[:most]


def _sweep(space: Namespace, shard: int) -> Steps[None]:
    """Apply what time has done to the shard's tasks: end leases, delays, deadlines and retentions."""
    for _ in range(MOST_SWEEPS):
        more = yield from ask(
            Operation(_SWEEP, space.keys.shard(shard), (), lambda reply: bool(reply[0] == b"MORE"))
        )
        if not more:
            return


def _read_page(reply: Sequence[Any]) -> tuple[bool, list[Task]]:
    return reply[0] == b"MORE", [read_task(row) for row in reply[1:]]


def counts(space: Namespace) -> Steps[dict[str, int]]:
    """Count the tasks in each state.

    Returns:
        A number for each state's name, and under ``"delayed"`` how many of the pending ones are not due.
    """
    total = {**{state.value: 0 for state in TaskState}, "delayed": 0}
    shards = range(space.shards)
    for shard in shards:
        yield from _sweep(space, shard)
    for part in (
        yield from ask_all(
            [Operation(_COUNTS, space.keys.shard(shard), (), _read_counts) for shard in shards]
        )
    ):
        for name, number in part.items():
            total[name] += number
    return total


def _read_counts(reply: Sequence[Any]) -> dict[str, int]:
    numbers = {reply[i].decode(): int(reply[i + 1]) for i in range(2, len(reply), 2)}
    return {"delayed": int(reply[1]), **numbers}


def explain_claim(
    space: Namespace,
    agent_id: str,
    task_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
) -> Operation[list[str]]:
    """Tell why an agent may not claim a task: every predicate that fails, in words.

    Args:
        agent_id: The agent.
        task_id: The task's id.
        pool_ids: The pools that the agent is in; None: no filter, as in `claim_next`.
        capabilities: What the agent can do; None: no filter.
        topics: The topics that the agent takes; None: no filter.

    Returns:
        One line for each reason; an empty list when the agent may claim the task now.
    """
    check_id("agent_id", agent_id)
    check_id("task_id", task_id)
    pools = None if pool_ids is None else set(check_ids("pool_ids", pool_ids))
    able = None if capabilities is None else set(check_ids("capabilities", capabilities))
    about = None if topics is None else set(check_ids("topics", topics))

    def read(reply: Sequence[Any]) -> list[str]:
        row = reply[2]
        if not row:
            return ["task: there is no such task"]
        task, record = read_task(row), record_of(row)
        reasons = []
        if task.state is not TaskState.PENDING:
            holder = f" by agent {task.assigned_to!r}" if task.assigned_to else ""
            reasons.append(f"state: it is {task.state}{holder}, not pending")
        elif "due" in record:
            reasons.append(f"delay: it can be claimed from {int(record['due']) / 1e6:.3f} on (server time)")
        if pools is not None and task.pool_id is not None and task.pool_id not in pools:
            reasons.append(f"pool: it is for agents of pool {task.pool_id!r}")
        if about is not None and task.topic is not None and task.topic not in about:
            reasons.append(f"topic: it is for agents with topic {str(task.topic)!r}")
        missing = [] if able is None else sorted(set(task.required_capabilities) - able)
        if missing:
            reasons.append(f"capabilities: it also needs {', '.join(map(repr, missing))}")
        return reasons

    return Operation(_GET_TASKS, space.keys.shard_with(task_id), (task_id,), read)
