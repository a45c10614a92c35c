"""The claim keeper: it renews claims from a thread of its own, and reports those that are lost."""

import time

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
from converge_redis.worker import claim_keeper
from tests.support.backends import TIMEOUT, Backend, until
from tests.worker.conftest import LEASE
from tests.worker.support import until_renewed

EXPIRING = {"claim_ttl_sec": 0.4}
"""For claims that are to expire."""


@pytest.fixture
def frequent_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renew claims ten times a second, although their leases are long."""
    monkeypatch.setattr(claim_keeper, "RENEW_AFTER", 0.1 / LEASE)


class LostClaims(list[tuple[str, NotAuthorizedError]]):
    """The calls of `on_claim_lost`."""

    def __call__(self, task: Task, error: NotAuthorizedError) -> None:
        self.append((task.id, error))


def claim(manager: TaskManager, agent: str = "a") -> Task:
    (task,) = manager.claim_next(agent)
    return task


def test_kept_claims_are_renewed(real: Backend, store: RedisStore, manager: TaskManager) -> None:
    lost = LostClaims()
    client = real.client()
    manager.submit_many([Task(constraints={"claim_ttl_sec": 2.0}) for _ in range(5)])
    with ClaimKeeper(store, lost) as keeper:
        tasks = manager.claim_next("a", count=5)
        for task in tasks:
            keeper.keep(task)
        until_renewed(client, store, tasks[0])
        assert manager.claim_next("b", count=5) == []
        for task in tasks:
            keeper.discard(task)
            assert manager.report("a", task.id, None, claim_token=task.claim_token)
    assert lost == []


def test_a_discarded_claim_expires(store: RedisStore, manager: TaskManager) -> None:
    manager.submit(Task(constraints=EXPIRING))
    with ClaimKeeper(store) as keeper:
        task = claim(manager)
        keeper.keep(task)
        keeper.discard(task)
        assert manager.claim_next("b", wait=TIMEOUT)[0].id == task.id


def test_a_closed_keeper_renews_no_claim(store: RedisStore, manager: TaskManager) -> None:
    manager.submit(Task(constraints=EXPIRING))
    keeper = ClaimKeeper(store)
    task = claim(manager)
    keeper.keep(task)
    keeper.close()
    keeper.close()
    assert manager.claim_next("b", wait=TIMEOUT)[0].id == task.id
    with pytest.raises(StoreClosedError):
        keeper.keep(task)


@pytest.mark.usefixtures("frequent_renewals")
def test_the_claim_of_a_cancelled_task_is_lost(store: RedisStore, manager: TaskManager) -> None:
    lost = LostClaims()
    manager.submit(Task())
    with ClaimKeeper(store, lost) as keeper:
        task = claim(manager)
        keeper.keep(task)
        manager.cancel_task(task.id)
        until(lambda: lost)
    assert [(task_id, type(error)) for task_id, error in lost] == [(task.id, TaskCancelledError)]


@pytest.mark.usefixtures("frequent_renewals")
def test_a_claim_that_was_released_elsewhere_is_lost(store: RedisStore, manager: TaskManager) -> None:
    lost = LostClaims()
    manager.submit(Task())
    with ClaimKeeper(store, lost) as keeper:
        task = claim(manager)
        keeper.keep(task)
        manager.release("a", task.id)
        again = claim(manager)
        assert again.claim_token != task.claim_token
        until(lambda: lost)
    assert [type(error) for _, error in lost] == [ClaimLostError]


def test_no_renewal_keeps_a_claim_beyond_timeout_sec(store: RedisStore, manager: TaskManager) -> None:
    lost = LostClaims()
    manager.submit(Task(constraints={**EXPIRING, "timeout_sec": 0.8}))
    with ClaimKeeper(store, lost) as keeper:
        keeper.keep(claim(manager))
        until(lambda: lost)
    assert [type(error) for _, error in lost] == [ClaimLostError]


def test_a_claim_without_a_lease_needs_no_renewal(real: Backend) -> None:
    lost = LostClaims()
    with RedisStore.from_url(str(real.url), "unlimited", claim_ttl_sec=None) as store:
        manager = TaskManager(store)
        manager.submit(Task())
        with ClaimKeeper(store, lost) as keeper:
            task = claim(manager)
            assert task.claim_expires_at is None
            keeper.keep(task)
            assert manager.report("a", task.id, 1, claim_token=task.claim_token)
    assert lost == []


def test_only_a_claimed_task_can_be_kept(store: RedisStore, manager: TaskManager) -> None:
    manager.submit(Task(id="t"))
    with ClaimKeeper(store) as keeper:
        task = manager.get_task("t")
        assert task is not None
        with pytest.raises(InvalidValueError, match="'t' is not claimed"):
            keeper.keep(task)


def test_a_claim_is_lost_when_its_lease_expires_without_a_server() -> None:
    lost = LostClaims()
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


@pytest.mark.usefixtures("frequent_renewals")
def test_an_error_in_on_claim_lost_affects_no_other_claim(
    store: RedisStore, manager: TaskManager, caplog: pytest.LogCaptureFixture
) -> None:
    lost: list[str] = []

    def on_claim_lost(task: Task, _error: NotAuthorizedError) -> None:
        lost.append(task.id)
        raise RuntimeError("of the callback")

    manager.submit_many([Task(), Task()])
    with ClaimKeeper(store, on_claim_lost) as keeper:
        for task in manager.claim_next("a", count=2):
            keeper.keep(task)
            manager.cancel_task(task.id)
        until(lambda: len(lost) == 2)
        until(lambda: caplog.text.count("on_claim_lost failed") == 2)
