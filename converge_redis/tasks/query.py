"""Reading tasks: get_task, get_tasks, list_claims, the lists of pending tasks, counts, explain_claim."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from converge_redis.core.batching import batches_by
from converge_redis.core.keys import lane
from converge_redis.core.namespace import DEFAULT_RETENTION_SEC, Namespace
from converge_redis.core.operation import Argument, Operation, Procedure, send, send_all
from converge_redis.core.scripts import Script
from converge_redis.core.validation import validate_id, validate_ids, validate_integer
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.notifications.steps import near_entries
from converge_redis.tasks.claim_filter import ClaimFilter, encode_filter
from converge_redis.tasks.model import Task, TaskState
from converge_redis.tasks.record import RecordHead, decode_record
from converge_redis.tasks.replies import decode_task

_GET_TASKS = Script("tasks/get_tasks")
_LIST_CLAIMS = Script("tasks/list_claims")
_LIST_PENDING = Script("tasks/list_pending")
_LIST_BEST = Script("tasks/list_best")
_COUNTS = Script("tasks/counts")
_SWEEP = Script("tasks/sweep")

TASKS_PER_SCRIPT = 200
MAX_BEST = 500
"""Up to this many tasks are listed by one script, which visits all lanes; more are read lane by lane."""

MAX_SWEEPS = 1000
"""The most scripts that apply what is due before a list or a count; each does a bounded part."""

NO_LIMIT = 2**53


def get_task(namespace: Namespace, task_id: str) -> Operation[Task | None]:
    """Read one task, as it is now: a lease or deadline that has passed is applied first.

    Args:
        task_id: The task's id.

    Returns:
        A snapshot; None when the task is unknown, or was deleted after its retention.
    """
    validate_id("task_id", task_id)
    return Operation(
        _GET_TASKS,
        namespace.keys.shard_with(task_id),
        (task_id,),
        lambda reply: decode_task(reply[2]) if reply[2] else None,
    )


def get_task_near(namespace: Namespace, entries: NearEntries, task_id: str) -> Procedure[Task | None]:
    """Read as `get_task` does, and store a finished task in the near cache."""
    validate_id("task_id", task_id)
    operation = Operation(_GET_TASKS, namespace.keys.shard_with(task_id), (task_id,), lambda reply: reply[1:])
    with entries.reading([namespace.keys.reopened(task_id)]) as read:
        now, row = yield from send(operation)
        if not row:
            return None
        task = decode_task(row)
        if task.is_finished:  # it changes no further, unless it is requeued
            valid_for = _kept_until(decode_record(row).head) - int(now) / 1e6
            size = sum(len(part) for part in row if part is not None)
            read.store(("get_task", task_id), task, partial(decode_task, row), size, valid_for=valid_for)
        return task


def _kept_until(head: RecordHead) -> float:
    retention = head.option("retention")
    finished = (head.finished or 0) / 1e6
    return finished + (DEFAULT_RETENTION_SEC if retention is None else int(retention) / 1e6)


def get_tasks(namespace: Namespace, task_ids: Iterable[str]) -> Procedure[list[Task | None]]:
    """Read several tasks; see `get_task`.

    Args:
        task_ids: The ids.

    Returns:
        One entry for each id, in their order: a snapshot, or None.
    """
    ids = validate_ids("task_ids", task_ids)
    found: dict[str, Task | None] = {}
    for shard, batch in batches_by(namespace.keys.shard_of, dict.fromkeys(ids), TASKS_PER_SCRIPT):
        tasks = yield from send(
            Operation(_GET_TASKS, namespace.keys.shard(shard), tuple(batch), _decode_tasks)
        )
        found.update(zip(batch, tasks, strict=True))
    return [found[task_id] for task_id in ids]


def _decode_tasks(reply: Sequence[Any]) -> list[Task | None]:
    return [decode_task(row) if row else None for row in reply[2:]]


def list_claims(namespace: Namespace, agent_id: str) -> Procedure[list[Task]]:
    """List the tasks that an agent holds, with their claim tokens: what a restarted agent has in hand.

    Args:
        agent_id: The agent.

    Returns:
        Snapshots, oldest claim first.
    """
    validate_id("agent_id", agent_id)
    claims: list[Task] = []
    for shard in range(namespace.shards):
        is_more, after = True, "-inf"
        while is_more:
            arguments = (agent_id, after, TASKS_PER_SCRIPT)
            is_more, after, tasks = yield from send(
                Operation(_LIST_CLAIMS, namespace.keys.shard(shard), arguments, _decode_claims)
            )
            claims += tasks
    return sorted(claims, key=lambda task: task.claim_token or 0)


def _decode_claims(reply: Sequence[Any]) -> tuple[bool, str, list[Task]]:
    return reply[0] == b"MORE", reply[1].decode(), [decode_task(row) for row in reply[2:]]


def refresh_from_store(_namespace: Namespace) -> Procedure[None]:
    """Have every read that follows go to the server: drop the entries of the near cache, if it is on.

    Without a near cache every read goes to the server anyway.
    """
    entries = yield from near_entries()
    if entries is not None:
        entries.drop_all()


def list_pending_tasks(
    namespace: Namespace, *, refresh_from_store: bool = False, limit: int | None = None
) -> Procedure[list[Task]]:
    """List the tasks that can be claimed, in the order in which they would be.

    Args:
        refresh_from_store: Accepted as in the in-memory interface; every list is read from the store.
        limit: The most tasks to list; None: all.

    Returns:
        Snapshots, by priority, then by id. Delayed tasks are not among them.
    """
    return _list(namespace, encode_filter(None, None, None), limit)


def list_pending_tasks_for_agent(
    namespace: Namespace,
    agent_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
    *,
    sort_by_priority: bool = False,
    refresh_from_store: bool = False,
    limit: int | None = None,
) -> Procedure[list[Task]]:
    """List the tasks that an agent may claim, in the order in which `claim_next` would claim them.

    A task without a pool, topic or required capability is open to all agents. A filter that is None is not
    applied; an empty one lets only such open tasks through.

    Args:
        agent_id: The agent; only the filters decide what it may claim.
        pool_ids: The agent's pools.
        capabilities: The agent's capabilities; a task needs all of its required ones among them.
        topics: The agent's topics.
        sort_by_priority: Accepted as in the in-memory interface; the list is always in this order.
        refresh_from_store: Accepted as in the in-memory interface; every list is read from the store.
        limit: The most tasks to list; None: all.

    Returns:
        Snapshots, by priority, then by id. Delayed tasks are not among them.
    """
    validate_id("agent_id", agent_id)
    return _list(namespace, encode_filter(pool_ids, capabilities, topics), limit)


def _list(namespace: Namespace, claim_filter: ClaimFilter, limit: int | None) -> Procedure[list[Task]]:
    max_tasks = NO_LIMIT if limit is None else validate_integer("limit", limit, 1, NO_LIMIT)
    listed: list[Task] = []
    for shard in range(namespace.shards):
        yield from _sweep(namespace, shard)
        keys = namespace.keys.shard(shard)
        if max_tasks <= MAX_BEST:
            best = Operation(_LIST_BEST, keys, (max_tasks, *claim_filter), _decode_page)
            listed += (yield from send(best))[1]
            continue
        place: tuple[Argument, ...] = ("", "", "")
        is_more = True
        while is_more:
            arguments = (TASKS_PER_SCRIPT, max_tasks, *place, *claim_filter)
            is_more, tasks = yield from send(Operation(_LIST_PENDING, keys, arguments, _decode_page))
            listed += tasks
            if tasks:
                last = tasks[-1]
                name = lane(last.pool_id, last.topic, last.required_capabilities)
                place = (name, last.priority, last.id)
    listed.sort(key=lambda task: (-task.priority, task.id.encode()))
    return listed[:max_tasks]


def _sweep(namespace: Namespace, shard: int) -> Procedure[None]:
    """Apply what is due in a shard: expired leases, delays, deadlines and retentions."""
    operation = Operation(_SWEEP, namespace.keys.shard(shard), (), lambda reply: bool(reply[0] == b"MORE"))
    for _ in range(MAX_SWEEPS):
        if not (yield from send(operation)):
            return


def _decode_page(reply: Sequence[Any]) -> tuple[bool, list[Task]]:
    return reply[0] == b"MORE", [decode_task(row) for row in reply[1:]]


def counts(namespace: Namespace) -> Procedure[dict[str, int]]:
    """Count the tasks in each state.

    Returns:
        The number of tasks by the name of the state; and under ``"delayed"`` the pending ones that cannot be
        claimed yet.
    """
    total = {**{state.value: 0 for state in TaskState}, "delayed": 0}
    for shard in range(namespace.shards):
        yield from _sweep(namespace, shard)
    operations = [
        Operation(_COUNTS, namespace.keys.shard(shard), (), _decode_counts)
        for shard in range(namespace.shards)
    ]
    for part in (yield from send_all(operations)):
        for name, number in part.items():
            total[name] += number
    return total


def _decode_counts(reply: Sequence[Any]) -> dict[str, int]:
    numbers = {reply[i].decode(): int(reply[i + 1]) for i in range(2, len(reply), 2)}
    return {"delayed": int(reply[1]), **numbers}


def explain_claim(
    namespace: Namespace,
    agent_id: str,
    task_id: str,
    pool_ids: Iterable[str] | None = None,
    capabilities: Iterable[str] | None = None,
    topics: Iterable[str] | None = None,
) -> Operation[list[str]]:
    """Explain why an agent may not claim a task: list every predicate that fails.

    Args:
        agent_id: The agent.
        task_id: The task's id.
        pool_ids: The agent's pools; None: no filter, as in `claim_next`.
        capabilities: The agent's capabilities; None: no filter.
        topics: The agent's topics; None: no filter.

    Returns:
        One line for each reason; an empty list when the agent may claim the task now.
    """
    validate_id("agent_id", agent_id)
    validate_id("task_id", task_id)
    pools = None if pool_ids is None else set(validate_ids("pool_ids", pool_ids))
    able = None if capabilities is None else set(validate_ids("capabilities", capabilities))
    subjects = None if topics is None else set(validate_ids("topics", topics))

    def decode(reply: Sequence[Any]) -> list[str]:
        row = reply[2]
        if not row:
            return ["task: there is no such task"]
        task, due = decode_task(row), decode_record(row).head.option("due")
        reasons = []
        if task.state is not TaskState.PENDING:
            holder = f" by agent {task.assigned_to!r}" if task.assigned_to else ""
            reasons.append(f"state: it is {task.state}{holder}, not pending")
        elif due is not None:
            reasons.append(f"delay: it can be claimed from {int(due) / 1e6:.3f} on (server time)")
        if pools is not None and task.pool_id is not None and task.pool_id not in pools:
            reasons.append(f"pool: it is for agents of pool {task.pool_id!r}")
        if subjects is not None and task.topic is not None and task.topic not in subjects:
            reasons.append(f"topic: it is for agents with topic {str(task.topic)!r}")
        missing = [] if able is None else sorted(set(task.required_capabilities) - able)
        if missing:
            reasons.append(f"capabilities: it also needs {', '.join(map(repr, missing))}")
        return reasons

    return Operation(_GET_TASKS, namespace.keys.shard_with(task_id), (task_id,), decode)
