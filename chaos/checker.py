"""The verdict on a whole history."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from chaos.history import NEVER, Call
from chaos.invariants import Violation, look_at
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
"""Errors that faults explain. What goes on with accepted tasks is not refused by a full server."""


@dataclass(slots=True)
class Verdict:
    """What the checker found.

    Attributes:
        counts: How many calls ended how.
        violations: All that is wrong.
    """

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


def check(calls: Sequence[Call], quiet_at: int = NEVER) -> Verdict:
    """Hold a history against what converge-redis promises.

    Args:
        calls: The calls of all processes; those of the verb ``final`` read every task at the end.
        quiet_at: When the faults were over and all tasks finished.
    """
    verdict = Verdict(_counts(calls))
    tasks = project(calls)
    verdict.violations += _errors(calls)
    verdict.violations += _stranded(calls, tasks, quiet_at)
    for task in tasks.values():
        verdict.violations += look_at(task)
        verdict.violations += _order(task)
    verdict.counts |= _counts_of_tasks(tasks.values())
    return verdict


def _errors(calls: Iterable[Call]) -> Iterator[Violation]:
    for call in calls:
        possible = ALWAYS_POSSIBLE | POSSIBLE.get(call.verb, set())
        if call.error is not None and call.error not in possible:
            task_id = str(call.arguments.get("task_id", ""))
            yield Violation("error", task_id, f"{call.verb} {call.who}: {call.error}: {call.message}")


def _stranded(calls: Iterable[Call], tasks: dict[str, TaskHistory], quiet_at: int) -> Iterator[Violation]:
    """Give the waits that were begun after the end of their task, in peace, and not told of it."""
    for call in calls:
        if call.verb in WAITS and call.begun > quiet_at and not call.result:
            task = tasks.get(call.arguments["task_id"])
            if task is not None and task.final is not None:
                yield Violation(
                    "stranded_waiter", task.id, f"{call.who} was not told: {call.error or 'None'}"
                )


def _order(task: TaskHistory) -> Iterator[Violation]:
    # An extension that may have happened allows nothing that would not be allowed without it.
    ops = [op for op in task.ops if op.kind != "extend" or op.ending != "unknown"]
    try:
        if not is_linearizable(ops, task.lease):
            yield Violation("not_linearizable", task.id, story(task.ops))
    except SearchTooLargeError:
        yield Violation("undecided", task.id, f"too many orders of {len(ops)} operations")


def story(ops: Iterable[Op]) -> str:
    """Tell what happened to a task, for people: times in milliseconds."""
    ordered = sorted(ops, key=lambda op: op.begun)
    zero = ordered[0].begun if ordered else 0
    return "\n".join(f"    {_line(op, zero)}" for op in ordered)


def _line(op: Op, zero: int) -> str:
    end = "…" if op.ended == NEVER else f"{(op.ended - zero) / 1e6:.1f}"
    token = "" if op.token is None else f" token {op.token}"
    value = "" if op.value is None else f" {op.value}"
    return (
        f"[{(op.begun - zero) / 1e6:.1f}, {end}] {op.kind} {op.ending} by {op.agent or op.who}{token}{value}"
    )


def _counts(calls: Iterable[Call]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for call in calls:
        counts["calls"] += 1
        if call.verb == "claim_next" and call.result:
            counts["claims"] += len(call.result)
        if call.verb in WAITS and call.result:
            counts["waiters told"] += 1
        if call.verb == "report":
            counts["reports accepted" if call.result else "reports refused or without answer"] += 1
        if call.error is not None:
            counts[call.error] += 1
        elif call.ended == NEVER:
            counts["calls of processes that were killed"] += 1
    return counts


def _counts_of_tasks(tasks: Iterable[TaskHistory]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for task in tasks:
        counts["tasks"] += task.final is not None
        counts["tasks acknowledged"] += any(op.ending == "done" for op in task.ops if op.kind == "submit")
        counts[f"tasks {task.final.status}" if task.final else "tasks not stored"] += 1
        claims = sum(op.kind == "claim" for op in task.ops)
        counts["tasks claimed more than once"] += claims > 1
    return counts
