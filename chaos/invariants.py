"""What must hold of each task by itself, looked at in simple ways: each finding here has a plain reason."""

from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

from chaos.history import NEVER
from chaos.model import SLACK, TERMINAL, Op
from chaos.projection import TaskHistory

_ACTS = {"extend", "report", "release", "fail"}


class Violation(NamedTuple):
    """Something that must not be.

    Attributes:
        kind: What kind of thing, in one word.
        task_id: The task, or what else it is about.
        detail: What was found.
    """

    kind: str
    task_id: str
    detail: str


def look_at(task: TaskHistory) -> Iterator[Violation]:
    """Give all that is wrong with a task."""
    for look in (
        _is_known,
        _is_kept,
        _tokens_grow,
        _claims_do_not_overlap,
        _one_result,
        _leases_end,
        _told_truth,
    ):
        for kind, detail in look(task):
            yield Violation(kind, task.id, detail)


def _is_known(task: TaskHistory) -> Iterator[tuple[str, str]]:
    exists = task.final is not None or any(op.kind != "read" for op in task.ops)
    if exists and not any(op.kind == "submit" for op in task.ops):
        yield "unexpected_task", "nobody has submitted it"


def _is_kept(task: TaskHistory) -> Iterator[tuple[str, str]]:
    if task.final is None:
        if submits := task.of("submit"):
            yield "lost_submit", f"{submits[0].who} was told that it is stored"
    elif task.final.status not in TERMINAL:
        yield "unfinished_task", f"it is still {task.final.status}"


def _tokens_grow(task: TaskHistory) -> Iterator[tuple[str, str]]:
    claims = [claim for claim in task.of("claim") if claim.token is not None]
    for before, after in pairwise(sorted(claims, key=lambda claim: claim.token or 0)):
        if before.token == after.token:
            yield "same_token", f"{before.who} and {after.who} both got {after.token}"
        elif after.ended < before.begun:
            yield "token_shrank", f"{before.who} got {before.token} after {after.who} had got {after.token}"


def _claims_do_not_overlap(task: TaskHistory) -> Iterator[tuple[str, str]]:
    spans = [(claim, *_surely_valid(task, claim)) for claim in task.of("claim")]
    for (first, begin, end), (second, begin_2, end_2) in combinations(spans, 2):
        if max(begin, begin_2) < min(end, end_2):
            yield "overlapping_tokens", f"{first.who} and {second.who} held it at the same time"


def _surely_valid(task: TaskHistory, claim: Op) -> tuple[int, int]:
    """Return from when to when a claim was valid at least."""
    own = [op for op in task.ops if op.kind not in {"claim", "submit", "read"} and _acts_for(op, claim)]
    renewed = [claim.begun, *(op.begun for op in own if op.kind == "extend" and op.ending == "done")]
    ends = [op.begun for op in own if op.kind != "extend"]
    ends += [op.begun for op in task.ops if op.kind in {"cancel", "fail"} and op.ended > claim.begun]
    return claim.ended, min(max(renewed) + task.lease - SLACK, *ends, NEVER)


def _acts_for(op: Op, claim: Op) -> bool:
    return op.agent == claim.agent and (op.token is None or claim.token is None or op.token == claim.token)


def _one_result(task: TaskHistory) -> Iterator[tuple[str, str]]:
    accepted = task.of("report")
    results = {(op.agent, op.token, op.value) for op in accepted}
    if len(results) > 1:
        yield "two_results", f"accepted: {', '.join(f'{op.value!r} of {op.who}' for op in accepted)}"
    if task.final is None:
        return
    if accepted and task.final.status != "completed":
        yield (
            "lost_result",
            f"{accepted[0].who} was told that it is accepted, the task is {task.final.status}",
        )
    elif task.final.status == "completed":
        possible = accepted or task.of("report", "unknown")
        if task.final.value not in [op.value for op in possible]:
            yield (
                "wrong_result",
                f"it has {task.final.value!r}, reported were {[op.value for op in possible]}",
            )


def _leases_end(task: TaskHistory) -> Iterator[tuple[str, str]]:
    """Hold acts that were accepted against the latest end that their lease can have had."""
    for claim in task.of("claim"):
        own = [op for op in task.ops if op.kind in _ACTS and op.holder == claim.holder and op is not claim]
        extensions = [op for op in own if op.kind == "extend" and op.ending != "refused"]
        if claim.token is None or not all(op.once and op.ending == "done" for op in extensions):
            continue  # an extension that was sent again may have happened late
        for act in own:
            earlier = [op.ended for op in extensions if op is not act and op.begun < act.ended]
            over = max(claim.ended, *earlier, 0) + task.lease + SLACK
            if act.ending == "done" and act.once and act.begun > over and not _is_repeated(own, act):
                yield "late_act", f"{act.kind} of {act.who} was accepted after the lease had run out"


def _is_repeated(own: Sequence[Op], act: Op) -> bool:
    """Tell whether a report may have been accepted earlier, and was only made again."""
    return act.kind == "report" and any(op.kind == "report" and op.begun < act.begun for op in own)


def _told_truth(task: TaskHistory) -> Iterator[tuple[str, str]]:
    for op in task.of("read"):
        if op.value is not None and op.value.status in TERMINAL and op.value != task.final:
            yield "told_wrong", f"{op.who} was told {op.value}, the task is {task.final}"
