"""Bugs built in on purpose: each is found in the history that it leaves, which is clean without the bug."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from chaos.acts import Act, Program, act, run, seen
from chaos.checker import check
from chaos.history import Recorder, read_history
from converge_redis import RedisStore, Task, TaskManager
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Procedure
from converge_redis.core.scripts import Script
from converge_redis.errors import ConvergeError
from converge_redis.notifications.waiters import Observation
from converge_redis.tasks import claim as claiming
from converge_redis.tasks import lease as holding
from converge_redis.tasks import settle as settling
from converge_redis.tasks import waiters as listening
from converge_redis.tasks.query import get_tasks
from tests.support.backends import Backend

LEASE = 30.0
ID = "task"
SUBMIT = Act("submit", {"task": Task(id=ID, constraints={"claim_ttl_sec": LEASE})}, {"tasks": [(ID, LEASE)]})


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


Judge = Callable[[Program], set[str]]


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    recorder = Recorder(tmp_path, "main")
    yield recorder
    recorder.close()


@pytest.fixture
def judge(manager: TaskManager, recorder: Recorder, tmp_path: Path) -> Judge:
    """Run a program, read the task at the end, and return the kinds of what the checker found."""

    def judge(program: Program) -> set[str]:
        run(program, manager, recorder)
        with recorder.call("final") as outcome:
            outcome.result = {ID: seen(manager.get_task(ID))}
        return {violation.kind for violation in check(read_history(tmp_path), quiet_at=0).violations}

    return judge


def attempt(todo: Act) -> Program:
    with suppress(ConvergeError):
        yield todo


# Claim without the check of the state


def two_claim_one_task() -> Program:
    yield SUBMIT
    for agent in ("a", "b"):
        yield act("claim", agent_id=agent, task_id=ID)
    for agent in ("a", "b"):
        yield from attempt(act("report", agent_id=agent, task_id=ID, result=agent))


def test_a_claim_that_checks_the_state_is_clean(judge: Judge) -> None:
    assert judge(two_claim_one_task()) == set()


def test_a_claim_that_does_not_check_the_state_is_found(judge: Judge) -> None:
    with broken(claiming._CLAIM, 'if record.state ~= "pending" then', "if false then"):
        assert {"not_linearizable", "overlapping_tokens"} <= judge(two_claim_one_task())


# Report without the check of the token


def an_older_claim_reports() -> Program:
    yield SUBMIT
    (first,) = yield act("claim_next", agent_id="a")
    yield act("release", agent_id="a", task_id=ID, claim_token=first.claim_token)
    (second,) = yield act("claim_next", agent_id="a")
    for task, result in ((first, "old"), (second, "new")):
        yield from attempt(
            act("report", agent_id="a", task_id=ID, claim_token=task.claim_token, result=result)
        )


def test_a_report_that_checks_the_token_is_clean(judge: Judge, manager: TaskManager) -> None:
    assert judge(an_older_claim_reports()) == set()
    task = manager.get_task(ID)
    assert task is not None
    assert task.result == "new"


def test_a_report_that_does_not_check_the_token_is_found(judge: Judge) -> None:
    with broken(
        settling._REPORT,
        "return refusal(record, agent, token)",
        'return refusal(record, agent, "")',
    ):
        assert "not_linearizable" in judge(an_older_claim_reports())


# Release that forgets the index


def released_and_claimed_again() -> Program:
    yield SUBMIT
    (task,) = yield act("claim_next", agent_id="a")
    yield act("release", agent_id="a", task_id=ID, claim_token=task.claim_token)
    for task in (yield act("claim_next", agent_id="b")):
        yield act("report", agent_id="b", task_id=ID, claim_token=task.claim_token, result=1)


def test_a_release_into_the_index_is_clean(judge: Judge, manager: TaskManager) -> None:
    assert judge(released_and_claimed_again()) == set()
    assert manager.audit() == []


def test_a_release_that_forgets_the_index_is_found(judge: Judge, manager: TaskManager) -> None:
    with broken(
        holding._RELEASE,
        "    save(id, record)\n    enter_lane(record.lane,",
        "    save(id, record)\n    leave_lane(record.lane,",
    ):
        assert judge(released_and_claimed_again()) == {"unfinished_task"}
    assert any(ID in str(violation) for violation in manager.audit())


# A waiter that reads before it subscribes


Watch = Callable[[Namespace, str, Sequence[str]], Procedure[dict[str, Observation[Task]]]]


WATCH = listening.watch_tasks


def reading_first(in_between: Callable[[], None]) -> Watch:
    """As `watch_tasks`, but with two scripts, and the task ends between them."""

    def watch(
        space: Namespace, listener: str, task_ids: Sequence[str]
    ) -> Procedure[dict[str, Observation[Task]]]:
        tasks = yield from get_tasks(space, task_ids)
        if ID in task_ids:
            in_between()
        yield from WATCH(space, listener, task_ids)
        return {
            task_id: Observation(task if task and task.state.terminal else None, task is not None, None)
            for task_id, task in zip(task_ids, tasks, strict=True)
        }

    return watch


def reading_at_once(in_between: Callable[[], None]) -> Watch:
    """As `watch_tasks`; the task ends right after it."""

    def watch(
        space: Namespace, listener: str, task_ids: Sequence[str]
    ) -> Procedure[dict[str, Observation[Task]]]:
        looks = yield from WATCH(space, listener, task_ids)
        if ID in task_ids:
            in_between()
        return looks

    return watch


def waits() -> Program:
    yield SUBMIT
    yield act("wait", task_id=ID, timeout=2.0)


@pytest.mark.parametrize(("order", "found"), [(reading_at_once, set()), (reading_first, {"stranded_waiter"})])
def test_a_waiter_that_reads_before_it_subscribes_is_found(
    order: Callable[[Callable[[], None]], Watch],
    found: set[str],
    judge: Judge,
    manager: TaskManager,
    recorder: Recorder,
    real: Backend,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager.submit(Task(id="never done"))
    assert manager.wait("never done", timeout=0.3) is None  # the listener's connection is there from now on
    with RedisStore.from_url(str(real.url), "bugs") as store:
        others = TaskManager(store)

        def in_between() -> None:
            run(finish(), others, recorder)

        def finish() -> Program:
            yield act("claim", agent_id="b", task_id=ID)
            yield act("report", agent_id="b", task_id=ID, result=1)

        monkeypatch.setattr(listening, "watch_tasks", order(in_between))
        assert judge(waits()) == found
