"""From the calls of a whole history to the operations on each task."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from chaos.history import NEVER, Call
from chaos.model import Ending, Kind, Op, Seen

ONCE_NS = 25_000_000
"""A call that was answered sooner was sent once: converge-redis pauses for so long before it sends again."""

NANOSECONDS = 1_000_000_000

_HOLDERS: dict[str, Kind] = {
    "extend_claim": "extend",
    "report": "report",
    "release": "release",
    "fail_task": "fail",
}
_REFUSALS = {"ClaimLostError", "NotAuthorizedError", "TaskCancelledError"}
_UNANSWERED = {"StoreUnavailableError", "StoreClosedError"}


@dataclass(slots=True)
class TaskHistory:
    """All that happened to one task.

    Attributes:
        id: The task.
        lease: The length of its lease, in nanoseconds.
        ops: What was done to it.
        final: How it was found at the end; None: not at all.
    """

    id: str
    lease: int = 0
    ops: list[Op] = field(default_factory=list)
    final: Seen | None = None

    def of(self, kind: Kind, ending: Ending = "done") -> list[Op]:
        """Return the operations of one kind and ending, by their ends."""
        found = [op for op in self.ops if op.kind == kind and op.ending == ending]
        return sorted(found, key=lambda op: op.ended)


def project(calls: Iterable[Call]) -> dict[str, TaskHistory]:
    """Sort what was done by task."""
    ops: dict[str, list[Op]] = defaultdict(list)
    leases: dict[str, int] = {}
    finals: dict[str, Seen | None] = {}
    for call in calls:
        if call.verb in {"submit", "submit_many"}:
            leases.update({task_id: round(lease * NANOSECONDS) for task_id, lease in call.arguments["tasks"]})
        elif call.verb == "final":
            finals |= {task_id: _seen(row) for task_id, row in call.result.items()}
        for task_id, op in _ops_of(call):
            ops[task_id].append(op)
    return {
        task_id: TaskHistory(task_id, leases.get(task_id, 0), ops[task_id], finals.get(task_id))
        for task_id in {*ops, *finals}
    }


def _ops_of(call: Call) -> Iterator[tuple[str, Op]]:
    match call.verb:
        case "submit" | "submit_many":
            delay = round(call.arguments.get("delay", 0.0) * NANOSECONDS)
            for task_id, _ in call.arguments["tasks"]:
                yield from _changed(call, task_id, "submit", delay=delay)
        case "claim_next" if call.result:
            for task_id, token, claimed in call.result:
                # The server tells when the claim began: a call that waited first began long before.
                begun = claimed if call.begun <= claimed <= call.ended else call.begun
                agent = call.arguments["agent_id"]
                yield task_id, Op("claim", "done", begun, call.ended, agent, token, who=call.who)
        case "claim" if call.result is True:
            agent = call.arguments["agent_id"]
            yield call.arguments["task_id"], Op("claim", "done", call.begun, call.ended, agent, who=call.who)
        case "cancel_task":
            yield from _changed(call, call.arguments["task_id"], "cancel")
        case "wait" | "wait_until_done" if call.result:
            seen = _seen(call.result)
            task_id = call.arguments["task_id"]
            yield task_id, Op("read", "done", call.begun, call.ended, value=seen, who=call.who)
        case "final":
            for task_id, row in call.result.items():
                yield task_id, Op("read", "done", call.begun, call.ended, value=_seen(row), who=call.who)
        case verb if verb in _HOLDERS:
            value = call.arguments.get("result", call.arguments.get("reason"))
            delay = round(call.arguments.get("delay", 0.0) * NANOSECONDS)
            task_id = call.arguments["task_id"]
            yield from _changed(call, task_id, _HOLDERS[verb], value=value, delay=delay)


def _changed(
    call: Call, task_id: str, kind: Kind, value: Any = None, delay: int = 0
) -> Iterator[tuple[str, Op]]:
    once = call.ended - call.begun < ONCE_NS
    ending = _ending(call, kind, once)
    if ending is None:
        return
    ended = NEVER if ending == "unknown" else call.ended
    agent, token = call.arguments.get("agent_id"), call.arguments.get("claim_token")
    yield task_id, Op(kind, ending, call.begun, ended, agent, token, value, delay, call.who, once)


def _ending(call: Call, kind: Kind, once: bool) -> Ending | None:
    """Tell how a call ended; None: it surely had no effect, and says nothing about the task."""
    if call.error is None and call.ended != NEVER:
        return "done" if call.result is not False else "refused"
    if call.error is None or call.error in _UNANSWERED:
        return "unknown"
    if call.error in _REFUSALS:
        # The record remembers its last four calls. So a release that was sent again after four others may be
        # told that the claim is lost, which is true: by this very call.
        return "unknown" if kind == "release" and not once else "refused"
    if call.error == "StoreFullError":
        return None if once else "unknown"  # what was sent before may have had its effect
    return "unknown"


def _seen(row: Any) -> Seen | None:
    return None if row is None else Seen(*row)
