"""The worker loop: what becomes of tasks, whatever their handlers do."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from converge_redis import (
    AsyncRedisStore,
    EmbeddedServer,
    InvalidTypeError,
    InvalidValueError,
    RedisStore,
    Task,
    TaskCancelledError,
    TaskFailure,
    TaskManager,
    TryLater,
    Worker,
    current_claim,
)
from tests.support.backends import TIMEOUT, Backend, until
from tests.support.records import edited

LEASE = 0.4


@pytest.fixture
def store(real: Backend) -> Iterator[RedisStore]:
    with RedisStore.from_url(str(real.url), "work", claim_ttl_sec=LEASE) as store:
        yield store


@pytest.fixture
def manager(store: RedisStore) -> Iterator[TaskManager]:
    manager = TaskManager(store)
    yield manager
    assert manager.audit() == []


class Events(list[tuple[str, str]]):
    """What a worker tells, by task."""

    def __call__(self, event: str, task: Task) -> None:
        self.append((event, task.id))

    def of(self, task_id: str) -> list[str]:
        return [event for event, about in self if about == task_id]


@contextlib.contextmanager
def working(store: RedisStore, handler: Any, **options: Any) -> Iterator[tuple[Worker, Events]]:
    """A worker in a thread of its own; drained, and over, at the end."""
    events = Events()
    worker = Worker(store, "worker", handler, on_event=events, **options)
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker, events
    finally:
        worker.drain()
        thread.join(TIMEOUT)
        assert not thread.is_alive()


def done(manager: TaskManager, task_id: str) -> Task:
    task = manager.wait(task_id, timeout=TIMEOUT)
    assert task is not None
    return task


def double(task: Task) -> Any:
    return 2 * task.inputs["number"]


async def double_async(task: Task) -> Any:
    await asyncio.sleep(0)
    return 2 * task.inputs["number"]


class Doubler:
    """An object that can be called."""

    async def __call__(self, task: Task) -> Any:
        return await double_async(task)


@pytest.mark.parametrize("handler", [double, double_async, Doubler()])
@pytest.mark.parametrize("concurrency", [1, 5])
def test_results_are_reported(
    store: RedisStore, manager: TaskManager, handler: Callable[[Task], Any], concurrency: int
) -> None:
    ids = manager.submit_many([Task(inputs={"number": number}) for number in range(20)])
    with working(store, handler, concurrency=concurrency) as (_, events):
        late = manager.submit(Task(inputs={"number": 20}))
        results = [done(manager, task_id).result for task_id in [*ids, late]]
        until(lambda: len(events) == 42)
    assert results == [2 * number for number in range(21)]
    assert events.of(late) == ["claimed", "completed"]
    assert all(task and task.assigned_to == "worker" for task in manager.get_tasks(ids))


def test_handlers_run_side_by_side(store: RedisStore, manager: TaskManager) -> None:
    barrier = threading.Barrier(4)
    ids = manager.submit_many([Task() for _ in range(4)])
    with working(store, lambda _task: barrier.wait(TIMEOUT) >= 0, concurrency=4):
        assert [done(manager, task_id).result for task_id in ids] == [True] * 4


def test_a_worker_takes_what_its_filters_let_through(store: RedisStore, manager: TaskManager) -> None:
    other = manager.submit(Task(topic="other"))
    hard = manager.submit(Task(topic="mine", required_capabilities=["magic"]))
    mine = manager.submit(Task(topic="mine", required_capabilities=["reading"]))
    with working(store, lambda _task: "done", topics=["mine"], capabilities=["reading"]):
        assert done(manager, mine).result == "done"
    assert [task and task.state for task in manager.get_tasks([other, hard])] == ["pending", "pending"]


def test_an_exception_fails_the_task_with_its_traceback(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise KeyError("what is missing")

    with working(store, handler):
        task = done(manager, manager.submit(Task()))
    assert task.state == "failed"
    reason = task.result
    assert (reason["reason"], reason["type"], reason["attempts"]) == ("exception", "builtins.KeyError", 1)
    assert "what is missing" in reason["message"]
    assert 'raise KeyError("what is missing")' in reason["traceback"]


def test_a_handler_that_raises_is_tried_again(store: RedisStore, manager: TaskManager) -> None:
    attempts = []

    def handler(task: Task) -> str:
        attempts.append(task.attempts)
        if task.attempts < 3:
            raise OSError("not yet")
        return "at last"

    with working(store, handler, retries=2, backoff_sec=0.02) as (_, events):
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": 600}))  # a slow machine keeps it
        assert done(manager, task_id).result == "at last"
        until(lambda: len(events) == 6)
    assert attempts == [1, 2, 3]
    assert events.of(task_id) == ["claimed", "released", "claimed", "released", "claimed", "completed"]


def test_retries_end(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise OSError("never")

    with working(store, handler, retries=2, backoff_sec=0.01):
        task = done(manager, manager.submit(Task()))
    assert (task.state, task.result["attempts"]) == ("failed", 3)


def test_a_failure_is_not_tried_again(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise TaskFailure({"code": 7})

    with working(store, handler, retries=5):
        task = done(manager, manager.submit(Task()))
    assert (task.state, task.result, task.attempts) == ("failed", {"code": 7}, 1)


def test_a_task_for_later_does_not_use_up_an_attempt(store: RedisStore, manager: TaskManager) -> None:
    calls = []

    def handler(task: Task) -> str:
        calls.append(task.attempts)
        if len(calls) < 3:
            raise TryLater(0.02)
        return "now"

    with working(store, handler):
        assert done(manager, manager.submit(Task())).result == "now"
    assert calls == [1, 1, 1]


@pytest.mark.parametrize("unstorable", [object(), float, {1: {2: object()}}])
def test_a_result_that_cannot_be_stored_fails_the_task(
    store: RedisStore, manager: TaskManager, unstorable: object
) -> None:
    with working(store, lambda _task: unstorable):
        task = done(manager, manager.submit(Task()))
    assert task.state == "failed"
    assert task.result["type"].startswith("converge_redis.errors.Invalid")


def test_a_reason_that_cannot_be_stored_still_fails_the_task(store: RedisStore, manager: TaskManager) -> None:
    def handler(_task: Task) -> None:
        raise TaskFailure(object())

    with working(store, handler):
        task = done(manager, manager.submit(Task()))
    assert (task.state, task.result["reason"]) == ("failed", "exception")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, StopIteration])
def test_a_handler_cannot_end_the_worker(
    store: RedisStore, manager: TaskManager, kind: type[BaseException]
) -> None:
    def handler(task: Task) -> str:
        if task.id == "bad":
            raise kind
        return "fine"

    with working(store, handler):
        manager.submit(Task(id="bad"))
        assert done(manager, "bad").state == "failed"
        assert done(manager, manager.submit(Task())).result == "fine"


def test_claims_outlive_their_lease_while_handlers_work(store: RedisStore, manager: TaskManager) -> None:
    def slow(_task: Task) -> str:
        threading.Event().wait(3 * LEASE)
        return "slow"

    with working(store, slow):
        task = done(manager, manager.submit(Task()))
    assert (task.result, task.attempts) == ("slow", 1)


def test_a_blocked_event_loop_does_not_lose_claims(store: RedisStore, manager: TaskManager) -> None:
    async def rude(_task: Task) -> str:
        threading.Event().wait(3 * LEASE)
        return "rude"

    with working(store, rude):
        task = done(manager, manager.submit(Task()))
    assert (task.result, task.attempts) == ("rude", 1)


def test_a_cancelled_task_cancels_its_coroutine(store: RedisStore, manager: TaskManager) -> None:
    cancelled = threading.Event()
    begun = threading.Event()

    async def handler(_task: Task) -> None:
        begun.set()
        try:
            await asyncio.sleep(TIMEOUT)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    with working(store, handler) as (_, events):
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": 600}))  # no renewal tells in time
        assert begun.wait(TIMEOUT)
        assert manager.cancel_task(task_id)
        assert cancelled.wait(TIMEOUT)
        until(lambda: events.of(task_id) == ["claimed", "lost"])
    assert done(manager, task_id).state == "cancelled"


def test_a_cancelled_task_tells_its_thread(store: RedisStore, manager: TaskManager) -> None:
    begun = threading.Event()
    errors = []

    def handler(_task: Task) -> None:
        begun.set()
        claim = current_claim()
        claim.wait_lost(TIMEOUT)
        errors.append(claim.error)
        claim.check()

    with working(store, handler) as (_, events):
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": 600}))
        assert begun.wait(TIMEOUT)
        manager.cancel_task(task_id)
        until(lambda: events.of(task_id) == ["claimed", "lost"])
    assert [type(error) for error in errors] == [TaskCancelledError]


def test_the_timeout_of_a_task_ends_its_handler(store: RedisStore, manager: TaskManager) -> None:
    attempts = []

    async def handler(task: Task) -> str:
        attempts.append(task.attempts)
        if len(attempts) == 1:
            await asyncio.sleep(TIMEOUT)
        return "the second time"

    with working(store, handler) as (_, events):
        task_id = manager.submit(Task(constraints={"timeout_sec": 0.3}))
        assert done(manager, task_id).result == "the second time"
        until(lambda: events.of(task_id).count("completed") == 1)
    assert "lost" in events.of(task_id)


def test_draining_lets_handlers_finish(store: RedisStore, manager: TaskManager) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def handler(_task: Task) -> str:
        begun.set()
        go_on.wait(TIMEOUT)
        return "finished"

    with working(store, handler) as (worker, _):
        first = manager.submit(Task())
        assert begun.wait(TIMEOUT)
        worker.drain()
        second = manager.submit(Task())
        go_on.set()
        assert done(manager, first).result == "finished"
    waiting = manager.get_task(second)
    assert waiting is not None
    assert (waiting.state, waiting.attempts) == ("pending", 0)


@pytest.mark.parametrize("kind", ["coroutine", "thread"])
def test_draining_gives_back_what_does_not_finish(store: RedisStore, manager: TaskManager, kind: str) -> None:
    begun, over = threading.Event(), threading.Event()

    async def coroutine(_task: Task) -> None:
        begun.set()
        await asyncio.sleep(TIMEOUT)

    def thread(_task: Task) -> None:
        begun.set()
        over.wait(TIMEOUT)

    with working(store, coroutine if kind == "coroutine" else thread) as (worker, events):
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": 600}))
        assert begun.wait(TIMEOUT)
        worker.drain(grace_sec=0.05)
        until(lambda: events.of(task_id) == ["claimed", "released"])
    over.set()
    task = manager.get_task(task_id)
    assert task is not None
    assert (task.state, task.attempts) == ("pending", 0)


def test_an_idle_worker_drains_at_once(store: RedisStore) -> None:
    with working(store, double, concurrency=3):
        pass


def test_a_worker_drains_also_without_a_server() -> None:
    server = EmbeddedServer().start()
    try:
        with RedisStore.from_url(server.url) as store, working(store, double) as (_, events):
            manager = TaskManager(store)
            task_id = manager.submit(Task(inputs={"number": 1}))
            until(lambda: events.of(task_id) == ["claimed", "completed"])
            server.stop()
    finally:
        server.stop()


def test_a_cancellation_that_nobody_heard_is_noticed_later(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    """The connection that listens is lost, and the task is cancelled before it is made anew."""
    begun = threading.Event()
    client = real.client()

    async def handler(_task: Task) -> None:
        begun.set()
        await asyncio.sleep(TIMEOUT)

    with working(store, handler) as (_, events):
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": 600}))
        assert begun.wait(TIMEOUT)
        with client.pipeline(transaction=True) as together:
            key = store._namespace.keys.shard_names(0)["t:"] + task_id
            together.client_kill_filter(_type="pubsub")
            stored: Any = client.get(key)
            together.set(key, edited(stored, listener="somebody else"))
            together.execute()
        manager.cancel_task(task_id)
        until(lambda: events.of(task_id) == ["claimed", "lost"])


async def test_a_worker_shares_a_store_on_asyncio(real: Backend) -> None:
    async with AsyncRedisStore.from_url(str(real.url), "work") as store:
        worker = Worker(store, "worker", double_async)
        running = asyncio.create_task(worker.arun())
        with RedisStore.from_url(str(real.url), "work") as blocking:
            manager = TaskManager(blocking)
            task_id = await asyncio.to_thread(manager.submit, Task(inputs={"number": 4}))
            task = await manager.wait_until_done(task_id, TIMEOUT)
        assert task is not None
        assert task.result == 8
        worker.drain()
        await running


async def test_a_cancelled_worker_gives_back(real: Backend) -> None:
    begun = asyncio.Event()

    async def handler(_task: Task) -> None:
        begun.set()
        await asyncio.sleep(TIMEOUT)

    async with AsyncRedisStore.from_url(str(real.url), "work") as store:
        running = asyncio.create_task(Worker(store, "worker", handler).arun())
        with RedisStore.from_url(str(real.url), "work") as blocking:
            manager = TaskManager(blocking)
            task_id = await asyncio.to_thread(manager.submit, Task())
            await asyncio.wait_for(begun.wait(), TIMEOUT)
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            task = await asyncio.to_thread(manager.get_task, task_id)
    assert task is not None
    assert (task.state, task.attempts) == ("pending", 0)


@pytest.mark.parametrize(
    ("more", "error", "name"),
    [
        ({"handler": "module:handler"}, InvalidTypeError, "handler"),
        ({"store": "redis://"}, InvalidTypeError, "store"),
        ({"agent_id": ""}, InvalidValueError, "agent_id"),
        ({"concurrency": 0}, InvalidValueError, "concurrency"),
        ({"concurrency": 1.5}, InvalidTypeError, "concurrency"),
        ({"retries": -1}, InvalidValueError, "retries"),
        ({"backoff_sec": float("nan")}, InvalidValueError, "backoff_sec"),
        ({"grace_sec": -1}, InvalidValueError, "grace_sec"),
    ],
)
def test_malformed_arguments_are_refused(
    store: RedisStore, more: dict[str, Any], error: type[Exception], name: str
) -> None:
    arguments: dict[str, Any] = {"store": store, "agent_id": "a", "handler": double} | more
    with pytest.raises(error, match=name):
        Worker(**arguments)


def test_outside_of_a_handler_there_is_no_claim() -> None:
    with pytest.raises(LookupError):
        current_claim()


# What is under way


def test_handlers_of_tasks_that_were_claimed_ahead_are_told_of_a_cancellation(
    store: RedisStore, manager: TaskManager
) -> None:
    """While there are always more, a worker asks for the next ones before it reads what has come."""
    begun = set[str]()

    async def handler(task: Task) -> None:
        begun.add(task.id)
        await asyncio.sleep(TIMEOUT)

    long = {"claim_ttl_sec": 600}
    manager.submit_many(Task(constraints=long) for _ in range(8))
    with working(store, handler, concurrency=4, grace_sec=0.0) as (_, events):
        until(lambda: len(begun) == 4)
        first = list(begun)
        for task_id in first:
            manager.cancel_task(task_id)
        until(lambda: all(events.of(task_id) == ["claimed", "lost"] for task_id in first))


@pytest.mark.parametrize("concurrency", [1, 2, 3, 10])
def test_no_more_is_claimed_than_is_worked_on(
    store: RedisStore, manager: TaskManager, concurrency: int
) -> None:
    lock, running, most = threading.Lock(), 0, 0
    held: list[int] = []

    def handler(task: Task) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        counts = manager.counts()
        held.append(counts["assigned"] + counts["running"])
        with lock:
            running -= 1
        return int(task.inputs["number"])

    ids = manager.submit_many(Task(inputs={"number": number}) for number in range(60))
    with working(store, handler, concurrency=concurrency):
        for task_id in ids:
            done(manager, task_id)
    assert most <= concurrency
    # A result may be under way, unreported, while the next task runs.
    assert max(held) <= 2 * concurrency
    assert manager.counts()["completed"] == 60


def test_a_drain_gives_back_what_was_asked_for_meanwhile(store: RedisStore, manager: TaskManager) -> None:
    """Whenever it comes: nothing stays claimed until its lease ends."""
    ids = manager.submit_many(Task(constraints={"claim_ttl_sec": 600}) for _ in range(3000))

    async def at_once(_task: Task) -> None:
        return None

    for moment in range(12):
        events = Events()
        worker = Worker(store, f"worker-{moment}", at_once, concurrency=20, on_event=events)
        thread = threading.Thread(target=worker.run)
        thread.start()
        until(events.copy)
        threading.Event().wait(0.002 * moment)
        worker.drain(grace_sec=0.0 if moment % 2 else None)
        thread.join(TIMEOUT)
        assert not thread.is_alive()
        counts = manager.counts()
        assert (counts["assigned"], counts["running"]) == (0, 0)
    counts = manager.counts()
    assert counts["pending"] + counts["completed"] == len(ids)


def test_a_task_that_cannot_be_read_takes_no_other_with_it(
    real: Backend, store: RedisStore, manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    ids = manager.submit_many(Task(id=f"{number}", inputs={"number": number}) for number in range(6))
    key = store._namespace.keys.shard_names(0)["t:"] + ids[2]
    client: Any = real.client()
    head, _, spec = client.get(key).partition(b"\n")
    client.set(key, head + b"\n" + b"\xc1" * len(spec))  # no msgpack
    with working(store, double, concurrency=10):
        for task_id in [*ids[:2], *ids[3:]]:
            assert done(manager, task_id).result == 2 * int(task_id)
    assert "cannot read" in caplog.text
    manager.cancel_task(ids[2])


def test_a_worker_that_finds_no_more_waits_without_asking(
    real: Backend, store: RedisStore, manager: TaskManager
) -> None:
    client: Any = real.client()

    def calls() -> int:
        return int(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])

    with working(store, double_async, concurrency=10):
        for task_id in manager.submit_many(Task(inputs={"number": number}) for number in range(35)):
            done(manager, task_id)
        until(lambda: client.exists(store._namespace.keys.shard_names(0)["listeners"]))
        threading.Event().wait(0.2)
        before = calls()
        threading.Event().wait(0.5)
        assert calls() - before <= 2
