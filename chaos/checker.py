"""The checker: finds the violations in a whole history."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from chaos.history import NEVER, Call
from chaos.invariants import Violation, check_task
from chaos.linearize import SearchTooLargeError, is_linearizable
from chaos.model import Op
from chaos.projection import TaskHistory, project

WAITS = {"wait", "wait_until_done"}

ALWAYS_POSSIBLE = {"StoreUnavailableError"}
POSSIBLE: dict[str, set[str]] = {
    "open": {"StoreFullError"},
    "submit": {"StoreFullError"},
    "submit_many": {"StoreFullError"},
    "report": {"ClaimLostError", "NotAuthorizedError", "TaskCancelledError"},
    "release": {"ClaimLostError", "NotAuthorizedError", "TaskCancelledError"},
    "fail_task": {"ClaimLostError", "NotAuthorizedError", "TaskCancelledError"},
}
"""Errors that faults explain, by method. A full server does not refuse calls on accepted tasks."""


@dataclass(slots=True)
class CheckResult:
    """The result of a check.

    Attributes:
        counts: The numbers of calls and tasks by kind.
        violations: All violations.
    """

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


def check(calls: Sequence[Call], quiet_at: int = NEVER) -> CheckResult:
    """Check a history against the guarantees of converge-redis.

    Args:
        calls: The calls of all processes; those of the method ``final`` read every task at the end.
        quiet_at: The time when the faults were over and all tasks finished.
    """
    result = CheckResult(_call_counts(calls))
    tasks = project(calls)
    result.violations += _unexplained_errors(calls)
    result.violations += _stranded_waiters(calls, tasks, quiet_at)
    for task in tasks.values():
        result.violations += check_task(task)
        result.violations += _check_order(task)
    result.counts |= _task_counts(tasks.values())
    return result


def _unexplained_errors(calls: Iterable[Call]) -> Iterator[Violation]:
    for call in calls:
        possible = ALWAYS_POSSIBLE | POSSIBLE.get(call.method, set())
        if call.error is not None and call.error not in possible:
            task_id = str(call.arguments.get("task_id", ""))
            yield Violation("error", task_id, f"{call.method} {call.label}: {call.error}: {call.message}")


def _stranded_waiters(
    calls: Iterable[Call], tasks: dict[str, TaskHistory], quiet_at: int
) -> Iterator[Violation]:
    """Yield the waits that started without faults, after the end of their task, and did not return it."""
    for call in calls:
        if call.method in WAITS and call.started > quiet_at and not call.result:
            task = tasks.get(call.arguments["task_id"])
            if task is not None and task.final is not None:
                yield Violation("stranded_waiter", task.id, f"{call.label} returned {call.error or 'None'}")


def _check_order(task: TaskHistory) -> Iterator[Violation]:
    # An extension that may have happened allows nothing that would not be allowed without it.
    ops = [op for op in task.ops if op.kind != "extend" or op.outcome != "unknown"]
    try:
        if not is_linearizable(ops, task.lease):
            yield Violation("not_linearizable", task.id, format_ops(task.ops))
    except SearchTooLargeError:
        yield Violation("undecided", task.id, f"too many orders of {len(ops)} operations")


def format_ops(ops: Iterable[Op]) -> str:
    """Return the operations on a task as lines of text, with times in milliseconds."""
    ordered = sorted(ops, key=lambda op: op.started)
    zero = ordered[0].started if ordered else 0
    return "\n".join(f"    {_format_op(op, zero)}" for op in ordered)


def _format_op(op: Op, zero: int) -> str:
    start = f"{(op.started - zero) / 1e6:.1f}"
    end = "…" if op.ended == NEVER else f"{(op.ended - zero) / 1e6:.1f}"
    token = "" if op.token is None else f" token {op.token}"
    value = "" if op.value is None else f" {op.value}"
    return f"[{start}, {end}] {op.kind} {op.outcome} by {op.agent or op.label}{token}{value}"


def _call_counts(calls: Iterable[Call]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for call in calls:
        counts["calls"] += 1
        if call.method == "claim_next" and call.result:
            counts["claims"] += len(call.result)
        if call.method in WAITS and call.result:
            counts["waits that returned a task"] += 1
        if call.method == "report":
            counts["reports accepted" if call.result else "reports refused or without reply"] += 1
        if call.error is not None:
            counts[call.error] += 1
        elif call.ended == NEVER:
            counts["calls of killed processes"] += 1
    return counts


def _task_counts(tasks: Iterable[TaskHistory]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for task in tasks:
        counts["tasks"] += task.final is not None
        counts["tasks acknowledged"] += any(op.outcome == "done" for op in task.ops if op.kind == "submit")
        counts[f"tasks {task.final.status}" if task.final else "tasks not stored"] += 1
        claims = sum(op.kind == "claim" for op in task.ops)
        counts["tasks claimed more than once"] += claims > 1
    return counts
