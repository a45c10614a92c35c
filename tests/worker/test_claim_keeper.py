"""Claims are kept alive from a thread, whatever the program is busy with."""

import time
from collections.abc import Iterator

import pytest

from converge_redis import (
    ClaimKeeper,
    ClaimLostError,
    EmbeddedServer,
    InvalidValueError,
    NotAuthorizedError,
    RedisStore,
    StoreClosedError,
    Task,
    TaskCancelledError,
    TaskManager,
)
from tests.support.backends import Backend, until

LEASE = 0.4


@pytest.fixture
def store(real: Backend) -> Iterator[RedisStore]:
    with RedisStore.from_url(str(real.url), "keeper", claim_ttl_sec=LEASE) as store:
        yield store


@pytest.fixture
def manager(store: RedisStore) -> TaskManager:
    return TaskManager(store)


class Lost(list[tuple[str, NotAuthorizedError]]):
    """What on_claim_lost was called with."""

    def __call__(self, task: Task, error: NotAuthorizedError) -> None:
        self.append((task.id, error))


def claim(manager: TaskManager, agent: str = "a") -> Task:
    (task,) = manager.claim_next(agent)
    return task


def test_claims_outlive_their_lease_while_the_program_is_busy(
    store: RedisStore, manager: TaskManager
) -> None:
    lost = Lost()
    manager.submit_many([Task() for _ in range(5)])
    with ClaimKeeper(store, lost) as keeper:
        tasks = manager.claim_next("a", count=5)
        for task in tasks:
            keeper.keep(task)
        time.sleep(3 * LEASE)
        assert manager.claim_next("b", count=5) == []
        for task in tasks:
            keeper.discard(task)
            assert manager.report("a", task.id, None, claim_token=task.claim_token)
    assert lost == []


def test_a_claim_that_is_forgotten_runs_out(store: RedisStore, manager: TaskManager) -> None:
    manager.submit(Task())
    with ClaimKeeper(store) as keeper:
        task = claim(manager)
        keeper.keep(task)
        keeper.discard(task)
        assert manager.claim_next("b", wait=20)[0].id == task.id


def test_a_closed_keeper_renews_nothing(store: RedisStore, manager: TaskManager) -> None:
    manager.submit(Task())
    keeper = ClaimKeeper(store)
    task = claim(manager)
    keeper.keep(task)
    keeper.close()
    keeper.close()
    assert manager.claim_next("b", wait=20)[0].id == task.id
    with pytest.raises(StoreClosedError):
        keeper.keep(task)


def test_a_cancelled_task_is_lost(store: RedisStore, manager: TaskManager) -> None:
    lost = Lost()
    manager.submit(Task())
    with ClaimKeeper(store, lost) as keeper:
        task = claim(manager)
        keeper.keep(task)
        manager.cancel_task(task.id)
        until(lambda: lost)
    assert [(task_id, type(error)) for task_id, error in lost] == [(task.id, TaskCancelledError)]


def test_a_claim_that_was_given_back_elsewhere_is_lost(store: RedisStore, manager: TaskManager) -> None:
    lost = Lost()
    manager.submit(Task())
    with ClaimKeeper(store, lost) as keeper:
        task = claim(manager)
        keeper.keep(task)
        manager.release("a", task.id)
        again = claim(manager)
        assert again.claim_token != task.claim_token
        until(lambda: lost)
    assert [type(error) for _, error in lost] == [ClaimLostError]


def test_the_timeout_of_a_task_ends_the_claim_whatever_the_renewals(
    store: RedisStore, manager: TaskManager
) -> None:
    lost = Lost()
    manager.submit(Task(constraints={"timeout_sec": 2 * LEASE}))
    with ClaimKeeper(store, lost) as keeper:
        keeper.keep(claim(manager))
        until(lambda: lost)
    assert [type(error) for _, error in lost] == [ClaimLostError]


def test_a_claim_without_a_lease_needs_no_renewal(real: Backend) -> None:
    lost = Lost()
    with RedisStore.from_url(str(real.url), "endless", claim_ttl_sec=None) as store:
        manager = TaskManager(store)
        manager.submit(Task())
        with ClaimKeeper(store, lost) as keeper:
            task = claim(manager)
            assert task.claim_expires_at is None
            keeper.keep(task)
            assert manager.report("a", task.id, 1, claim_token=task.claim_token)
    assert lost == []


def test_only_what_is_claimed_can_be_kept(store: RedisStore, manager: TaskManager) -> None:
    manager.submit(Task(id="t"))
    with ClaimKeeper(store) as keeper:
        task = manager.get_task("t")
        assert task is not None
        with pytest.raises(InvalidValueError, match="'t' is not claimed"):
            keeper.keep(task)


def test_a_server_that_is_gone_loses_the_claim_when_the_lease_has_run_out() -> None:
    lost = Lost()
    server = EmbeddedServer().start()
    try:
        with RedisStore.from_url(server.url, claim_ttl_sec=1.0) as store:
            manager = TaskManager(store)
            manager.submit(Task())
            with ClaimKeeper(store, lost) as keeper:
                begun = time.monotonic()
                keeper.keep(claim(manager), begun)
                server.stop()
                until(lambda: lost)
                assert time.monotonic() - begun >= 1.0
    finally:
        server.stop()
    assert [type(error) for _, error in lost] == [ClaimLostError]
    assert "lease ran out" in str(lost[0][1])


def test_an_error_in_on_claim_lost_hurts_no_other_claim(
    store: RedisStore, manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def on_lost(task: Task, _error: NotAuthorizedError) -> None:
        seen.append(task.id)
        raise RuntimeError("of the callback")

    manager.submit_many([Task(), Task()])
    with ClaimKeeper(store, on_lost) as keeper:
        for task in manager.claim_next("a", count=2):
            keeper.keep(task)
            manager.cancel_task(task.id)
        until(lambda: len(seen) == 2)
        until(lambda: caplog.text.count("on_claim_lost failed") == 2)
