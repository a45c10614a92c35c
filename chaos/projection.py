"""The projection of a history: from the calls of all processes to the operations on each task."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos.history import NEVER, Call
from chaos.model import Kind, Op, Outcome, ReadTask

RETRY_PAUSE_NS = 25_000_000
"""The shortest pause of converge-redis before a retry: a call that returned sooner was sent once."""

NANOSECONDS = 1_000_000_000

_HOLDER_KINDS: dict[str, Kind] = {
    "extend_claim": "extend",
    "report": "report",
    "release": "release",
    "fail_task": "fail",
}
_REFUSALS = {"ClaimLostError", "NotAuthorizedError", "TaskCancelledError"}
_UNANSWERED = {"StoreUnavailableError", "StoreClosedError"}


@dataclass(slots=True)
class TaskHistory:
    """The history of one task.

    Attributes:
        id: The task's id.
        lease: The length of its lease, in nanoseconds.
        ops: The operations on it.
        final: The task as read at the end; None: there was none.
    """

    id: str
    lease: int = 0
    ops: list[Op] = field(default_factory=list)
    final: ReadTask | None = None

    def of(self, kind: Kind, outcome: Outcome = "done") -> list[Op]:
        """Return the operations of one kind and outcome, ordered by their ends."""
        found = [op for op in self.ops if op.kind == kind and op.outcome == outcome]
        return sorted(found, key=lambda op: op.ended)


def project(calls: Iterable[Call]) -> dict[str, TaskHistory]:
    """Return the history of each task by id."""
    ops: dict[str, list[Op]] = defaultdict(list)
    leases: dict[str, int] = {}
    finals: dict[str, ReadTask | None] = {}
    for call in calls:
        if call.method in {"submit", "submit_many"}:
            leases.update({task_id: round(lease * NANOSECONDS) for task_id, lease in call.arguments["tasks"]})
        elif call.method == "final":
            finals |= {task_id: _read_task(row) for task_id, row in call.result.items()}
        for task_id, op in _ops_of(call):
            ops[task_id].append(op)
    return {
        task_id: TaskHistory(task_id, leases.get(task_id, 0), ops[task_id], finals.get(task_id))
        for task_id in {*ops, *finals}
    }


def _ops_of(call: Call) -> Iterator[tuple[str, Op]]:
    match call.method:
        case "submit" | "submit_many":
            delay = round(call.arguments.get("delay", 0.0) * NANOSECONDS)
            for task_id, _ in call.arguments["tasks"]:
                yield from _change(call, task_id, "submit", delay=delay)
        case "claim_next" if call.result:
            for task_id, token, claimed in call.result:
                # The server's time of the claim, since a call that waited started long before.
                started = claimed if call.started <= claimed <= call.ended else call.started
                agent = call.arguments["agent_id"]
                yield task_id, Op("claim", "done", started, call.ended, agent, token, label=call.label)
        case "claim" if call.result is True:
            agent = call.arguments["agent_id"]
            yield (
                call.arguments["task_id"],
                Op("claim", "done", call.started, call.ended, agent, label=call.label),
            )
        case "cancel_task":
            yield from _change(call, call.arguments["task_id"], "cancel")
        case "wait" | "wait_until_done" if call.result:
            yield call.arguments["task_id"], _read(call, call.result)
        case "final":
            for task_id, row in call.result.items():
                yield task_id, _read(call, row)
        case method if method in _HOLDER_KINDS:
            value = call.arguments.get("result", call.arguments.get("reason"))
            delay = round(call.arguments.get("delay", 0.0) * NANOSECONDS)
            task_id = call.arguments["task_id"]
            yield from _change(call, task_id, _HOLDER_KINDS[method], value=value, delay=delay)


def _read(call: Call, row: Any) -> Op:
    return Op("read", "done", call.started, call.ended, value=_read_task(row), label=call.label)


def _change(
    call: Call, task_id: str, kind: Kind, value: Any = None, delay: int = 0
) -> Iterator[tuple[str, Op]]:
    sent_once = call.ended - call.started < RETRY_PAUSE_NS
    outcome = _outcome(call, kind, sent_once)
    if outcome is None:
        return
    ended = NEVER if outcome == "unknown" else call.ended
    agent, token = call.arguments.get("agent_id"), call.arguments.get("claim_token")
    yield (
        task_id,
        Op(kind, outcome, call.started, ended, agent, token, value, delay, call.label, sent_once),
    )


def _outcome(call: Call, kind: Kind, sent_once: bool) -> Outcome | None:
    """Return the outcome of a call; None: it surely had no effect, and shows nothing about the task."""
    if call.error is None and call.ended != NEVER:
        return "done" if call.result is not False else "refused"
    if call.error is None or call.error in _UNANSWERED:
        return "unknown"
    if call.error in _REFUSALS:
        # The record remembers its last four calls. So a release that is retried after four others may get
        # ClaimLostError, which is true: this very call has ended the claim.
        return "unknown" if kind == "release" and not sent_once else "refused"
    if call.error == "StoreFullError":
        return None if sent_once else "unknown"  # an earlier attempt may have taken effect
    return "unknown"


def _read_task(row: Any) -> ReadTask | None:
    return None if row is None else ReadTask(*row)
