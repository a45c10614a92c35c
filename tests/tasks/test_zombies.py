"""A process that was stopped for longer than its lease, and continues to work on its task."""

import multiprocessing
import os
import signal
from multiprocessing.connection import Connection

import pytest

from converge_redis import ClaimKeeper, NotAuthorizedError, RedisStore, Task, TaskManager
from tests.support.backends import TIMEOUT, Backend, until

LEASE = 0.4


def hold_claim(url: str, pipe: Connection, keep: bool) -> None:
    """Claim a task and send its claim token; report when a message comes, and send the error."""
    lost: list[str] = []
    with (
        RedisStore.from_url(url, "zombies") as store,
        ClaimKeeper(store, lambda _task, error: lost.append(type(error).__name__)) as keeper,
    ):
        manager = TaskManager(store)
        (task,) = manager.claim_next("zombie")
        if keep:
            keeper.keep(task)
        pipe.send(task.claim_token)
        pipe.recv()
        try:
            manager.report("zombie", task.id, "of the zombie", claim_token=task.claim_token)
        except NotAuthorizedError as error:
            until(lambda: lost or not keep)
            pipe.send((type(error).__name__, str(error), lost))
        else:
            pipe.send(None)


@pytest.mark.parametrize(
    ("keep", "expected"), [(False, []), (True, ["ClaimLostError"])], ids=["plain", "kept"]
)
def test_a_stopped_process_has_lost_its_claim(real: Backend, keep: bool, expected: list[str]) -> None:
    """Its report is refused, and its claim keeper calls `on_claim_lost`."""
    url = str(real.url)
    context = multiprocessing.get_context("spawn")
    near, far = context.Pipe()
    with RedisStore.from_url(url, "zombies") as store:
        manager = TaskManager(store)
        task_id = manager.submit(Task(constraints={"claim_ttl_sec": LEASE}))
        process = context.Process(target=hold_claim, args=(url, far, keep), daemon=True)
        process.start()
        assert process.pid is not None
        zombie_token = near.recv()
        os.kill(process.pid, signal.SIGSTOP)
        try:
            (task,) = manager.claim_next("successor", wait=TIMEOUT)
            assert task.claim_token is not None
            assert task.claim_token > zombie_token
            assert manager.report("successor", task_id, "of the successor", claim_token=task.claim_token)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        near.send("report")
        reply = near.recv()
        assert reply is not None, "the report of the stopped process was accepted"
        error, message, lost = reply
        assert error == "ClaimLostError"
        assert "'zombie'" in message
        assert task_id in message
        found = manager.get_task(task_id)
        assert found is not None
        assert (found.state, found.result, found.assigned_to) == (
            "completed",
            "of the successor",
            "successor",
        )
        assert manager.audit() == []
        process.join()
        assert lost == expected
