"""A process that was stopped for longer than its lease, and goes on as if nothing had happened."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

from converge_redis import ClaimKeeper, NotAuthorizedError, RedisStore, Task, TaskManager
from tests.support.backends import Backend, until

LEASE = 0.4


def hold(url: str, pipe: Connection, keeps: bool) -> None:
    """Claim, tell of it, and report when told to; tell what came of that."""
    lost: list[str] = []
    with (
        RedisStore.from_url(url, "zombies") as store,
        ClaimKeeper(store, lambda _task, error: lost.append(type(error).__name__)) as keeper,
    ):
        manager = TaskManager(store)
        (task,) = manager.claim_next("zombie")
        if keeps:
            keeper.keep(task)
        pipe.send(task.claim_token)
        pipe.recv()
        try:
            manager.report("zombie", task.id, "of the zombie", claim_token=task.claim_token)
        except NotAuthorizedError as error:
            until(lambda: lost or not keeps)
            pipe.send((type(error).__name__, str(error), lost))
        else:
            pipe.send(None)


def check_zombie(url: str, *, keeps: bool) -> list[str]:
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    with RedisStore.from_url(url, "zombies") as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": LEASE}))
        process = context.Process(target=hold, args=(url, far, keeps), daemon=True)
        process.start()
        assert process.pid is not None
        old_token = near.recv()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            (task,) = manager.claim_next("heir", wait=20)
            assert task.claim_token is not None
            assert task.claim_token > old_token
            assert manager.report("heir", task_id, "of the heir", claim_token=task.claim_token)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        near.send("report")
        told = near.recv()
        assert told is not None, "the zombie's report was accepted"
        kind, message, lost = told
        assert kind == "ClaimLostError"
        assert "'zombie'" in message
        assert task_id in message
        found = manager.get_task(task_id)
        assert found is not None
        assert (found.state, found.result, found.assigned_to) == ("completed", "of the heir", "heir")
        assert manager.audit() == []
        process.join()
        return list(lost)


def test_a_stopped_worker_is_told_that_its_claim_is_lost(real: Backend) -> None:
    assert check_zombie(str(real.url), keeps=False) == []


def test_a_stopped_keeper_tells_that_the_claim_is_lost(real: Backend) -> None:
    assert check_zombie(str(real.url), keeps=True) == ["ClaimLostError"]
