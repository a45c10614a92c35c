"""The invariants of each task, checked one by one: each violation has a simple explanation."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from chaos.history import NEVER
from chaos.model import SLACK, TERMINAL, Op
from chaos.projection import TaskHistory

_HOLDER_KINDS = {"extend", "report", "release", "fail"}


class Violation(NamedTuple):
    """A violation of a guarantee.

    Attributes:
        kind: The kind of violation, in one word.
        task_id: The task's id; empty if it is not about one task.
        detail: What was found.
    """

    kind: str
    task_id: str
    detail: str


def check_task(task: TaskHistory) -> Iterator[Violation]:
    """Yield all violations of a task."""
    for invariant in (
        _was_submitted,
        _is_kept,
        _tokens_grow,
        _claims_do_not_overlap,
        _has_one_result,
        _leases_end,
        _reads_match_the_end,
    ):
        for kind, detail in invariant(task):
            yield Violation(kind, task.id, detail)


def _was_submitted(task: TaskHistory) -> Iterator[tuple[str, str]]:
    exists = task.final is not None or any(op.kind != "read" for op in task.ops)
    if exists and not any(op.kind == "submit" for op in task.ops):
        yield "unexpected_task", "it was never submitted"


def _is_kept(task: TaskHistory) -> Iterator[tuple[str, str]]:
    if task.final is None:
        if submits := task.of("submit"):
            yield "lost_submit", f"{submits[0].label} was acknowledged"
    elif task.final.status not in TERMINAL:
        yield "unfinished_task", f"it is still {task.final.status}"


def _tokens_grow(task: TaskHistory) -> Iterator[tuple[str, str]]:
    claims = [claim for claim in task.of("claim") if claim.token is not None]
    for before, after in pairwise(sorted(claims, key=lambda claim: claim.token or 0)):
        if before.token == after.token:
            yield "same_token", f"{before.label} and {after.label} both got {after.token}"
        elif after.ended < before.started:
            yield (
                "token_shrank",
                f"{before.label} got {before.token} after {after.label} had got {after.token}",
            )


def _claims_do_not_overlap(task: TaskHistory) -> Iterator[tuple[str, str]]:
    spans = [(claim, *_surely_valid(task, claim)) for claim in task.of("claim")]
    for (first, start, end), (second, start_2, end_2) in combinations(spans, 2):
        if max(start, start_2) < min(end, end_2):
            yield "overlapping_tokens", f"{first.label} and {second.label} held it at the same time"


def _surely_valid(task: TaskHistory, claim: Op) -> tuple[int, int]:
    """Return the start and the end of the time in which a claim was surely valid."""
    own = [op for op in task.ops if op.kind not in {"claim", "submit", "read"} and _uses(op, claim)]
    renewed = [claim.started, *(op.started for op in own if op.kind == "extend" and op.outcome == "done")]
    ends = [op.started for op in own if op.kind != "extend"]
    ends += [op.started for op in task.ops if op.kind in {"cancel", "fail"} and op.ended > claim.started]
    return claim.ended, min(max(renewed) + task.lease - SLACK, *ends, NEVER)


def _uses(op: Op, claim: Op) -> bool:
    return op.agent == claim.agent and (op.token is None or claim.token is None or op.token == claim.token)


def _has_one_result(task: TaskHistory) -> Iterator[tuple[str, str]]:
    accepted = task.of("report")
    results = {(op.agent, op.token, op.value) for op in accepted}
    if len(results) > 1:
        yield "two_results", f"accepted: {', '.join(f'{op.value!r} of {op.label}' for op in accepted)}"
    if task.final is None:
        return
    if accepted and task.final.status != "completed":
        yield "lost_result", f"{accepted[0].label} was accepted, but the task is {task.final.status}"
    elif task.final.status == "completed":
        possible = accepted or task.of("report", "unknown")
        if task.final.value not in [op.value for op in possible]:
            yield (
                "wrong_result",
                f"it has {task.final.value!r}, but these were reported: {[op.value for op in possible]}",
            )


def _leases_end(task: TaskHistory) -> Iterator[tuple[str, str]]:
    """Check that no call of a holder was accepted after the latest possible end of its lease."""
    for claim in task.of("claim"):
        own = [
            op
            for op in task.ops
            if op.kind in _HOLDER_KINDS and op.holder == claim.holder and op is not claim
        ]
        extensions = [op for op in own if op.kind == "extend" and op.outcome != "refused"]
        if claim.token is None or not all(op.sent_once and op.outcome == "done" for op in extensions):
            continue  # an extension that was retried may have taken effect late
        for op in own:
            earlier = [other.ended for other in extensions if other is not op and other.started < op.ended]
            expired = max(claim.ended, *earlier, 0) + task.lease + SLACK
            if op.outcome == "done" and op.sent_once and op.started > expired and not _may_repeat(own, op):
                yield "late_call", f"{op.kind} of {op.label} was accepted after the lease had expired"


def _may_repeat(own: Sequence[Op], op: Op) -> bool:
    """Return whether a report may repeat one that was accepted before."""
    return op.kind == "report" and any(other.kind == "report" and other.started < op.started for other in own)


def _reads_match_the_end(task: TaskHistory) -> Iterator[tuple[str, str]]:
    for op in task.of("read"):
        if op.value is not None and op.value.status in TERMINAL and op.value != task.final:
            yield "wrong_read", f"{op.label} returned {op.value}, but the task is {task.final}"
