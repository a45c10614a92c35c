"""The checker, on histories written by hand: correct ones pass, and each violation is named."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaos.checker import check
from chaos.history import NEVER, Call
from chaos.linearize import is_linearizable
from chaos.model import Op, State, next_states

MS = 1_000_000
LEASE = 1.0


class History:
    """Calls one after the other: each takes one millisecond and starts one millisecond after the last."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.now = 1000 * MS

    def add(
        self,
        method: str,
        result: Any = None,
        *,
        error: str | None = None,
        returns: bool = True,
        **arguments: Any,
    ) -> Call:
        call = Call(
            "p",
            len(self.calls),
            method,
            arguments,
            self.now,
            self.now + MS if returns else NEVER,
            result,
            error,
        )
        self.calls.append(call)
        self.now += 2 * MS
        return call

    def submit(self, **more: Any) -> Call:
        return self.add("submit", "t", tasks=[("t", LEASE)], **more)

    def claim(self, agent: str, token: int, **more: Any) -> Call:
        return self.add("claim_next", [("t", token, self.now)], agent_id=agent, **more)

    def call_as_holder(self, method: str, agent: str, token: int, result: Any = True, **more: Any) -> Call:
        return self.add(method, result, agent_id=agent, task_id="t", claim_token=token, **more)

    def report(self, agent: str, token: int, value: str, **more: Any) -> Call:
        return self.add(
            "report",
            more.pop("answer", True),
            agent_id=agent,
            task_id="t",
            claim_token=token,
            **{"result_": value} | more,
        )

    def final(
        self, status: str | None, agent: str | None = None, token: int | None = None, value: Any = None
    ) -> None:
        self.add("final", {"t": None if status is None else [status, agent, token, value]})

    def kinds(self) -> set[str]:
        for call in self.calls:
            if "result_" in call.arguments:
                call.arguments["result"] = call.arguments.pop("result_")
        return {violation.kind for violation in check(self.calls, quiet_at=0).violations}


@pytest.fixture
def history() -> History:
    return History()


def test_a_correct_history_passes(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.call_as_holder("extend_claim", "a", 1)
    history.call_as_holder("release", "a", 1)
    history.claim("b", 2)
    history.report("a", 1, "late", error="ClaimLostError")
    history.report("b", 2, "right")
    history.report("b", 2, "right")
    history.add("wait", ["completed", "b", 2, "right"], task_id="t", timeout=1.0)
    history.final("completed", "b", 2, "right")
    assert history.kinds() == set()


def test_calls_without_a_reply_may_have_taken_effect_or_not(history: History) -> None:
    history.submit(returns=False)
    history.claim("a", 1)
    history.report("a", 1, "maybe", returns=False)
    history.now += 2000 * MS
    history.claim("b", 2)
    history.report("b", 2, "right")
    history.final("completed", "b", 2, "right")
    assert history.kinds() == set()


def test_a_submit_that_was_refused_may_leave_no_task(history: History) -> None:
    history.submit(error="StoreFullError")
    history.final(None)
    assert history.kinds() == set()


def test_a_lost_submit_is_found(history: History) -> None:
    history.submit()
    history.final(None)
    assert "lost_submit" in history.kinds()


def test_a_task_that_was_never_submitted_is_found(history: History) -> None:
    history.claim("a", 1)
    history.final("pending")
    assert "unexpected_task" in history.kinds()


def test_a_lost_result_is_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.report("a", 1, "mine")
    history.final("pending")
    assert {"lost_result", "unfinished_task"} <= history.kinds()


def test_two_accepted_results_are_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.report("a", 1, "one")
    history.claim("b", 2)
    history.report("b", 2, "two")
    history.final("completed", "b", 2, "two")
    assert {"two_results", "not_linearizable"} <= history.kinds()


def test_a_result_that_was_never_reported_is_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.report("a", 1, "mine")
    history.final("completed", "a", 1, "other")
    assert "wrong_result" in history.kinds()


def test_two_claims_at_the_same_time_are_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.claim("b", 2)
    history.report("b", 2, "result")
    history.final("completed", "b", 2, "result")
    assert {"overlapping_tokens", "not_linearizable"} <= history.kinds()


def test_a_claim_after_the_lease_passes(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.now += 1000 * MS
    history.claim("b", 2)
    history.report("b", 2, "result")
    history.final("completed", "b", 2, "result")
    assert history.kinds() == set()


@pytest.mark.parametrize(("second", "kind"), [(1, "same_token"), (0, "token_shrank")])
def test_tokens_that_do_not_grow_are_found(history: History, second: int, kind: str) -> None:
    history.submit()
    history.claim("a", 1)
    history.call_as_holder("release", "a", 1)
    history.claim("b", second)
    history.call_as_holder("fail_task", "b", second, reason="reason")
    history.final("failed", "b", second, "reason")
    assert kind in history.kinds()


def test_a_report_long_after_the_lease_is_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.now += 1100 * MS
    history.report("a", 1, "late")
    history.final("completed", "a", 1, "late")
    assert "late_call" in history.kinds()


def test_a_wait_that_returns_a_wrong_task_is_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.report("a", 1, "right")
    history.add("wait", ["completed", "a", 1, "wrong"], task_id="t", timeout=1.0)
    history.final("completed", "a", 1, "right")
    assert "wrong_read" in history.kinds()


def test_a_wait_that_does_not_return_an_ended_task_is_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.report("a", 1, "right")
    history.add("wait", None, task_id="t", timeout=1.0)
    history.final("completed", "a", 1, "right")
    assert history.kinds() == {"stranded_waiter"}


def test_an_error_that_no_fault_explains_is_found(history: History) -> None:
    history.submit()
    history.claim("a", 1)
    history.report("a", 1, "result", error="StoreFullError")
    history.report("a", 1, "result")
    history.final("completed", "a", 1, "result")
    assert "error" in history.kinds()


# The search, compared with trying all orders


def in_some_order(ops: Sequence[Op], lease: int) -> bool:
    """Return whether any order follows the model, by trying all."""
    optional = [op for op in ops if op.outcome == "unknown"]
    required = [op for op in ops if op.outcome != "unknown"]
    for number in range(len(optional) + 1):
        for chosen in itertools.combinations(optional, number):
            for order in itertools.permutations([*required, *chosen]):
                if _respects_times(order) and _follows_model(order, lease):
                    return True
    return False


def _respects_times(order: Sequence[Op]) -> bool:
    return all(after.ended >= before.started for before, after in itertools.combinations(order, 2))


def _follows_model(order: Sequence[Op], lease: int) -> bool:
    states = {State()}
    for op in order:
        states = {after for state in states for after in next_states(state, op, lease)}
    return bool(states)


@st.composite
def some_ops(draw: st.DrawFn) -> list[Op]:
    ops = []
    for kind in (
        "submit",
        *draw(st.lists(st.sampled_from(["claim", "report", "release", "cancel"]), max_size=4)),
    ):
        started = draw(st.integers(0, 12)) * 20 * MS
        outcome = draw(st.sampled_from(["done", "refused", "unknown"] if kind != "claim" else ["done"]))
        ended = NEVER if outcome == "unknown" else started + draw(st.integers(1, 6)) * 20 * MS
        agent = draw(st.sampled_from("ab")) if kind in {"claim", "report", "release"} else None
        token = draw(st.integers(1, 3)) if agent else None
        ops.append(Op(kind, outcome, started, ended, agent, token, "result" if kind == "report" else None))  # type: ignore[arg-type]
    return ops


@settings(max_examples=400, deadline=None)
@given(some_ops(), st.sampled_from([30 * MS, 10_000 * MS]))
def test_the_search_finds_what_trying_all_orders_finds(ops: list[Op], lease: int) -> None:
    assert is_linearizable(ops, lease) == in_some_order(ops, lease)
