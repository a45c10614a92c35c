"""Bugs planted on purpose: the checker finds each in the history, and nothing without the bug."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chaos.checker import check
from chaos.history import Recorder, read_history
from chaos.programs import Program, Request, request, run, task_fields
from converge_redis import RedisStore, Task, TaskManager
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Procedure
from converge_redis.core.scripts import Script
from converge_redis.errors import ConvergeError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.steps import on_listener
from converge_redis.notifications.waiters import Observation
from converge_redis.tasks import claim, lease, settle, waiters
from converge_redis.tasks.query import get_tasks
from tests.support.backends import TIMEOUT, Backend, until

LEASE = 30.0
ID = "task"
SUBMIT = Request(
    "submit", {"task": Task(id=ID, constraints={"claim_ttl_sec": LEASE})}, {"tasks": [(ID, LEASE)]}
)


@contextmanager
def broken(script: Script, good: str, bad: str) -> Iterator[None]:
    """Replace a part of a script."""
    text, sha = script.text, script.sha
    assert text.count(good) == 1
    script.text = text.replace(good, bad)
    script.sha = hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()
    try:
        yield
    finally:
        script.text, script.sha = text, sha


@pytest.fixture
def manager(real: Backend) -> Iterator[TaskManager]:
    with RedisStore.from_url(str(real.url), "bugs") as store:
        yield TaskManager(store)


Check = Callable[[Program], set[str]]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path, "main")
    yield recorder
    recorder.close()


@pytest.fixture
def check_program(manager: TaskManager, recorder: Recorder, tmp_path: Path) -> Check:
    """Run a program, read the task at the end, and return the kinds of the violations."""

    def check_program(program: Program) -> set[str]:
        run(program, manager, recorder)
        with recorder.call("final") as call:
            call.result = {ID: task_fields(manager.get_task(ID))}
        return {violation.kind for violation in check(read_history(tmp_path), quiet_at=0).violations}

    return check_program


def attempt(call: Request) -> Program:
    with suppress(ConvergeError):
        yield call


# A claim that does not check the state


def two_claims_of_one_task() -> Program:
    yield SUBMIT
    for agent in ("a", "b"):
        yield request("claim", agent_id=agent, task_id=ID)
    for agent in ("a", "b"):
        yield from attempt(request("report", agent_id=agent, task_id=ID, result=agent))


def test_a_claim_that_checks_the_state_is_clean(check_program: Check) -> None:
    assert check_program(two_claims_of_one_task()) == set()


def test_a_claim_that_does_not_check_the_state_is_found(check_program: Check) -> None:
    with broken(claim._CLAIM, 'if record.state ~= "pending" then', "if false then"):
        assert {"not_linearizable", "overlapping_tokens"} <= check_program(two_claims_of_one_task())


# A report that does not check the token


def report_of_an_older_claim() -> Program:
    yield SUBMIT
    (first,) = yield request("claim_next", agent_id="a")
    yield request("release", agent_id="a", task_id=ID, claim_token=first.claim_token)
    (second,) = yield request("claim_next", agent_id="a")
    for task, result in ((first, "old"), (second, "new")):
        yield from attempt(
            request("report", agent_id="a", task_id=ID, claim_token=task.claim_token, result=result)
        )


def test_a_report_that_checks_the_token_is_clean(check_program: Check, manager: TaskManager) -> None:
    assert check_program(report_of_an_older_claim()) == set()
    task = manager.get_task(ID)
    assert task is not None
    assert task.result == "new"


def test_a_report_that_does_not_check_the_token_is_found(check_program: Check) -> None:
    with broken(
        settle._REPORT,
        "return refusal(record, agent, token)",
        'return refusal(record, agent, "")',
    ):
        assert "not_linearizable" in check_program(report_of_an_older_claim())


# A release that does not add the task to its lane


def claim_after_a_release() -> Program:
    yield SUBMIT
    (task,) = yield request("claim_next", agent_id="a")
    yield request("release", agent_id="a", task_id=ID, claim_token=task.claim_token)
    for task in (yield request("claim_next", agent_id="b")):
        yield request("report", agent_id="b", task_id=ID, claim_token=task.claim_token, result=1)


def test_a_release_that_adds_the_task_to_its_lane_is_clean(
    check_program: Check, manager: TaskManager
) -> None:
    assert check_program(claim_after_a_release()) == set()
    assert manager.audit() == []


def test_a_release_that_does_not_add_the_task_to_its_lane_is_found(
    check_program: Check, manager: TaskManager
) -> None:
    with broken(
        lease._RELEASE,
        "    save(id, record)\n    enter_lane(record.lane,",
        "    save(id, record)\n    leave_lane(record.lane,",
    ):
        assert check_program(claim_after_a_release()) == {"unfinished_task"}
    assert any(ID in str(violation) for violation in manager.audit())


# A waiter that reads before it subscribes


Watch = Callable[[Namespace, str, Sequence[str]], Procedure[dict[str, Observation[Task]]]]


WATCH_TASKS = waiters.watch_tasks


def read_then_watch(end_task: Callable[[], None]) -> Watch:
    """Like `watch_tasks`, but in two scripts; the task ends between them."""

    def watch(
        namespace: Namespace, listener: str, task_ids: Sequence[str]
    ) -> Procedure[dict[str, Observation[Task]]]:
        tasks = yield from get_tasks(namespace, task_ids)
        if ID in task_ids:
            end_task()
        yield from WATCH_TASKS(namespace, listener, task_ids)
        return {
            task_id: Observation(task if task and task.state.terminal else None, task is not None, None)
            for task_id, task in zip(task_ids, tasks, strict=True)
        }

    return watch


def read_and_watch(end_task: Callable[[], None]) -> Watch:
    """Like `watch_tasks`; the task ends right after it."""

    def watch(
        namespace: Namespace, listener: str, task_ids: Sequence[str]
    ) -> Procedure[dict[str, Observation[Task]]]:
        observations = yield from WATCH_TASKS(namespace, listener, task_ids)
        if ID in task_ids:
            end_task()
        return observations

    return watch


def wait(timeout: float) -> Program:
    yield SUBMIT
    yield request("wait", task_id=ID, timeout=timeout)


async def _is_subscribed(listener: Listener) -> bool:
    return listener.is_subscribed


def is_subscribed() -> Procedure[bool]:
    return (yield from on_listener(_is_subscribed))


@pytest.mark.parametrize(
    ("watch", "timeout", "found"),
    [(read_and_watch, TIMEOUT, set()), (read_then_watch, 4.0, {"stranded_waiter"})],
)
def test_a_waiter_that_reads_before_it_subscribes_is_found(
    watch: Callable[[Callable[[], None]], Watch],
    timeout: float,
    found: set[str],
    check_program: Check,
    manager: TaskManager,
    recorder: Recorder,
    real: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    until(lambda: manager.store._run(is_subscribed()))  # a new subscription would read the task again
    with RedisStore.from_url(str(real.url), "bugs") as store:
        other = TaskManager(store)

        def finish() -> Program:
            yield request("claim", agent_id="b", task_id=ID)
            yield request("report", agent_id="b", task_id=ID, result=1)

        def end_task() -> None:
            run(finish(), other, recorder)

        monkeypatch.setattr(waiters, "watch_tasks", watch(end_task))
        assert check_program(wait(timeout)) == found
