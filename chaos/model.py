"""One task as it must behave when calls come one after the other; the lease may run out in between.

Nothing here knows how converge-redis works, only what its interface promises. Times are whole nanoseconds of
the machine's monotonic clock, and a state says "not before": the model schedules everything as early as it
can, which allows whatever any other schedule would.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from chaos.history import NEVER

SLACK = 5_000_000
"""Nanoseconds by which the server's clock may disagree with ours, in what a history spans."""

Kind = Literal["submit", "claim", "extend", "report", "release", "fail", "cancel", "read"]
Ending = Literal["done", "refused", "unknown"]

TERMINAL = frozenset({"completed", "failed", "cancelled"})


@dataclass(slots=True, frozen=True)
class Op:
    """What one call did, or tried to do, to one task.

    Attributes:
        kind: What.
        ending: ``"done"``; ``"refused"``: told that it changed nothing; ``"unknown"``: it may have
            happened or not, at any time after it was begun.
        begun: When the call was sent, at the earliest.
        ended: When it had returned; `NEVER` when unknown.
        agent: Who acts.
        token: The claim token that it acts with, or got; None: none is known.
        value: The result of a report, the reason of a failure, or the state that was read.
        seconds_ns: The delay of a submit or a release.
        who: The call, for people.
        once: Whether it was surely sent only once: a call that was sent again may take effect late.
    """

    kind: Kind
    ending: Ending
    begun: int
    ended: int = NEVER
    agent: str | None = None
    token: int | None = None
    value: Any = None
    delay: int = 0
    who: str = ""
    once: bool = True

    @property
    def holder(self) -> tuple[str | None, int | None]:
        """Who acts, and with which claim."""
        return self.agent, self.token


class State(NamedTuple):
    """What is known of the task at one moment.

    Attributes:
        status: ``"absent"``, ``"pending"``, ``"held"``, or a terminal state.
        agent: Who holds it, or has finished it.
        token: The claim token of that; None: not known.
        last_token: The largest token so far.
        value: The result.
        until: Held: when the lease may run out, at the earliest. Pending: when it may be claimed.
        now: The time, at the earliest.
    """

    status: str = "absent"
    agent: str | None = None
    token: int | None = None
    last_token: int = 0
    value: Any = None
    until: int = 0
    now: int = 0

    def held_by(self, op: Op) -> bool:
        """Tell whether the op's agent and token are those of the claim."""
        if self.status != "held" or self.agent != op.agent:
            return False
        if self.token is None:
            return op.token is None or op.token > self.last_token
        return op.token in {None, self.token}


class Seen(NamedTuple):
    """A task as it was read."""

    status: str
    agent: str | None
    token: int | None
    value: Any


def steps(state: State, op: Op, lease: int) -> Iterator[State]:
    """Give the states that one operation may leave.

    Args:
        state: The state before.
        op: The operation; what it was told must be true.
        lease: The length of the task's lease.
    """
    befores = [state]
    if state.status == "held":
        over = max(state.now, state.until - SLACK)
        befores.append(state._replace(status="pending", agent=None, token=None, until=0, now=over))
    for before in befores:
        for after in _apply(before, op, lease):
            moment = max(before.now, op.begun, after.now)
            if moment <= op.ended:
                yield after._replace(now=moment)


def _apply(state: State, op: Op, lease: int) -> Iterator[State]:
    at = max(state.now, op.begun)
    match op.kind:
        case "submit":
            if state.status == "absent":
                yield state._replace(status="pending", until=at + op.delay)
            elif op.ending == "done":
                yield state
        case "claim":
            yield from _claim(state, op, lease, at)
        case "read":
            yield from _read(state, op.value)
        case "cancel":
            if op.ending == "refused":
                if state.status in TERMINAL or state.status == "absent":
                    yield state
            elif state.status in {"pending", "held"}:
                yield state._replace(status="cancelled", value=None)
        case _:
            yield from _act_as_holder(state, op, lease, at)


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


def _read(state: State, seen: Seen | None) -> Iterator[State]:
    if seen is None:
        if state.status == "absent":
            yield state
    elif seen.status not in TERMINAL:
        # A claim whose answer was lost is not in the history, so a task may be held that seems to be pending.
        if state.status in {"pending", "held"}:
            yield state
    elif seen.status == state.status:
        finisher = (state.agent, state.token or seen.token, state.value) == (
            seen.agent,
            seen.token,
            seen.value,
        )
        if finisher or seen.status == "cancelled":
            yield state


def _act_as_holder(state: State, op: Op, lease: int, at: int) -> Iterator[State]:
    if op.ending == "refused":
        if not state.held_by(op):
            yield state
    elif state.held_by(op):
        yield from _act(state._replace(token=op.token or state.token), op, lease, at)
    elif op.kind == "report" and op.ending == "done" and _repeats(state, op):
        yield state


def _act(state: State, op: Op, lease: int, at: int) -> Iterator[State]:
    last = max(state.last_token, state.token or 0)
    if op.kind == "extend":
        yield state._replace(until=at + lease, last_token=last)
    elif op.kind == "release":
        yield State("pending", last_token=last, until=at + op.delay)
    else:
        status = "completed" if op.kind == "report" else "failed"
        yield state._replace(status=status, value=op.value, last_token=last)


def _repeats(state: State, op: Op) -> bool:
    """Tell whether a report is the one that was accepted before, made again."""
    is_holder = state.agent == op.agent and (op.token is None or state.token in {None, op.token})
    return state.status == "completed" and is_holder and state.value == op.value
