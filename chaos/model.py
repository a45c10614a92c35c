"""The model: how one task behaves when calls follow one after the other. Its lease may expire in between.

The model knows only what the public interface promises, not how converge-redis works. Times are nanoseconds
of the machine's monotonic clock. A state has the earliest possible times: the model schedules everything as
early as possible, which allows all that any other schedule would.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from chaos.history import NEVER

SLACK = 5_000_000
"""Nanoseconds by which the server's clock may differ from ours within a history."""

Kind = Literal["submit", "claim", "extend", "report", "release", "fail", "cancel", "read"]
Outcome = Literal["done", "refused", "unknown"]

TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(slots=True, frozen=True)
class Op:
    """The operation of one call on one task.

    Attributes:
        kind: The kind of operation.
        outcome: ``"done"``; ``"refused"``: it changed nothing; ``"unknown"``: it took effect at any time
            after its start, or never.
        started: The earliest time at which the call was sent.
        ended: The time when it had returned; `NEVER` when unknown.
        agent: The acting agent.
        token: The claim token of the call or its result; None: unknown.
        value: The result of a report, the reason of a failure, or the task that was read.
        delay: The delay of a submit or a release.
        label: The name of the call in messages.
        sent_once: Whether it was surely sent only once: a call that was retried may take effect late.
    """

    kind: Kind
    outcome: Outcome
    started: int
    ended: int = NEVER
    agent: str | None = None
    token: int | None = None
    value: Any = None
    delay: int = 0
    label: str = ""
    sent_once: bool = True

    @property
    def holder(self) -> tuple[str | None, int | None]:
        """The acting agent and its claim token."""
        return self.agent, self.token


class State(NamedTuple):
    """A possible state of the task.

    Attributes:
        status: ``"absent"``, ``"pending"``, ``"held"``, or a terminal state.
        agent: The agent that holds it or has finished it.
        token: The claim token of that agent; None: unknown.
        last_token: The largest token so far.
        value: The result.
        until: Held: the earliest end of the lease. Pending: the earliest time of the next claim.
        now: The earliest current time.
    """

    status: str = "absent"
    agent: str | None = None
    token: int | None = None
    last_token: int = 0
    value: Any = None
    until: int = 0
    now: int = 0

    def held_by(self, op: Op) -> bool:
        """Return whether the agent and token of an operation are those of the claim."""
        if self.status != "held" or self.agent != op.agent:
            return False
        if self.token is None:
            return op.token is None or op.token > self.last_token
        return op.token in {None, self.token}


class ReadTask(NamedTuple):
    """A task as a call returned it."""

    status: str
    agent: str | None
    token: int | None
    value: Any


def next_states(state: State, op: Op, lease: int) -> Iterator[State]:
    """Yield the states that an operation may lead to.

    Args:
        state: The state before.
        op: The operation; its recorded outcome must be possible.
        lease: The length of the task's lease.
    """
    befores = [state]
    if state.status == "held":
        expired = max(state.now, state.until - SLACK)
        befores.append(state._replace(status="pending", agent=None, token=None, until=0, now=expired))
    for before in befores:
        for after in _apply(before, op, lease):
            moment = max(before.now, op.started, after.now)
            if moment <= op.ended:
                yield after._replace(now=moment)


def _apply(state: State, op: Op, lease: int) -> Iterator[State]:
    at = max(state.now, op.started)
    match op.kind:
        case "submit":
            if state.status == "absent":
                yield state._replace(status="pending", until=at + op.delay)
            elif op.outcome == "done":
                yield state
        case "claim":
            yield from _claim(state, op, lease, at)
        case "read":
            yield from _read(state, op.value)
        case "cancel":
            if op.outcome == "refused":
                if state.status in TERMINAL or state.status == "absent":
                    yield state
            elif state.status in {"pending", "held"}:
                yield state._replace(status="cancelled", value=None)
        case _:
            yield from _apply_by_holder(state, op, lease, at)


def _claim(state: State, op: Op, lease: int, at: int) -> Iterator[State]:
    if state.status == "pending" and (op.token is None or op.token > state.last_token):
        claimed = max(at, state.until - SLACK)
        yield state._replace(
            status="held",
            agent=op.agent,
            token=op.token,
            last_token=op.token or state.last_token,
            until=claimed + lease,
            now=claimed,
        )


def _read(state: State, task: ReadTask | None) -> Iterator[State]:
    if task is None:
        if state.status == "absent":
            yield state
    elif task.status not in TERMINAL:
        # A claim whose reply was lost is not in the history, so a task may be held that seems to be pending.
        if state.status in {"pending", "held"}:
            yield state
    elif task.status == state.status:
        finisher = (state.agent, state.token or task.token, state.value) == (
            task.agent,
            task.token,
            task.value,
        )
        if finisher or task.status == "cancelled":
            yield state


def _apply_by_holder(state: State, op: Op, lease: int, at: int) -> Iterator[State]:
    if op.outcome == "refused":
        if not state.held_by(op):
            yield state
    elif state.held_by(op):
        yield from _change(state._replace(token=op.token or state.token), op, lease, at)
    elif op.kind == "report" and op.outcome == "done" and _repeats(state, op):
        yield state


def _change(state: State, op: Op, lease: int, at: int) -> Iterator[State]:
    last = max(state.last_token, state.token or 0)
    if op.kind == "extend":
        yield state._replace(until=at + lease, last_token=last)
    elif op.kind == "release":
        yield State("pending", last_token=last, until=at + op.delay)
    else:
        status = "completed" if op.kind == "report" else "failed"
        yield state._replace(status=status, value=op.value, last_token=last)


def _repeats(state: State, op: Op) -> bool:
    """Return whether a report repeats the one that was accepted."""
    is_holder = state.agent == op.agent and (op.token is None or state.token in {None, op.token})
    return state.status == "completed" and is_holder and state.value == op.value
