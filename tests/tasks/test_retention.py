"""A limit on how many finished tasks are kept: those go first that would expire first."""

import asyncio
from typing import Any

import pytest

from converge_redis import InvalidTypeError, InvalidValueError, RedisStore, Task
from converge_redis.core.codec import encode
from converge_redis.tasks import settle as settling
from tests.support.backends import TIMEOUT, Backend, eventually
from tests.support.fleet import Fleet, names_of
from tests.tasks.test_waits import is_waiting


async def finish(fleet: Fleet, number: int, **options: Any) -> list[str]:
    """Finish tasks one after the other; return their ids."""
    manager = fleet.manager(**options)
    ids = []
    for _ in range(number):
        ids.append(await manager.submit(Task()))
        (task,) = await manager.claim_next("a")
        assert await manager.report("a", task.id, "result", claim_token=task.claim_token)
    return ids


async def test_the_oldest_finished_tasks_go_first(fleet: Fleet) -> None:
    manager = fleet.manager(max_finished=3)
    ids = await finish(fleet, 8, max_finished=3)
    found = await manager.get_tasks(ids)
    assert found[:5] == [None] * 5
    assert [task and task.result for task in found[5:]] == ["result"] * 3
    assert (await manager.counts())["completed"] == 3
    for task_id in ids[:5]:
        names = names_of(fleet.namespaces["test"].keys, task_id)
        assert not fleet.raw.exists(names["task"], names["spec"], names["result"])


async def test_none_is_kept_when_none_may_be(fleet: Fleet) -> None:
    ids = await finish(fleet, 3, max_finished=0)
    assert await fleet.manager().get_tasks(ids) == [None] * 3


async def test_failed_and_cancelled_tasks_count_too(fleet: Fleet) -> None:
    manager = fleet.manager(max_finished=2)
    ids = []
    for number in range(6):
        ids.append(await manager.submit(Task()))
        if number % 2:
            assert await manager.fail_task(ids[-1], "reason")
        else:
            assert await manager.cancel_task(ids[-1])
    assert [task is not None for task in await manager.get_tasks(ids)] == [False] * 4 + [True] * 2


async def test_a_waiter_has_its_result_before_it_goes(fleet: Fleet) -> None:
    manager, other = fleet.manager(max_finished=0), fleet.manager(max_finished=0)
    task_id = await manager.submit(Task())
    told = asyncio.ensure_future(manager.wait_until_done(task_id, timeout=20))
    keys = names_of(fleet.namespaces["test"].keys, task_id)

    async def is_waited_for() -> bool:
        return bool(fleet.raw.exists(keys["watchers"]))

    await eventually(is_waited_for)
    (task,) = await other.claim_next("a")
    await other.report("a", task.id, "result", claim_token=task.claim_token)
    done = await told
    assert done is not None
    assert done.result == "result"


async def test_a_store_without_a_limit_deletes_many_in_small_parts(fleet: Fleet) -> None:
    """The limit came later, or is smaller in one process: each end removes a bounded number."""
    ids = await finish(fleet, 40)
    await finish(fleet, 1, max_finished=5)
    left = sum(task is not None for task in await fleet.manager().get_tasks(ids))
    assert 5 <= left < 41
    await finish(fleet, 40, max_finished=5)
    assert (await fleet.manager().counts())["completed"] == 5


@pytest.mark.parametrize(
    ("bad", "error"),
    [(-1, InvalidValueError), (1.5, InvalidTypeError), ("3", InvalidTypeError)],
)
def test_a_malformed_limit_is_refused(real: Backend, bad: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="max_finished"):
        RedisStore.from_url(str(real.url), max_finished=bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["objective", "result"])
async def test_those_who_wait_are_told_before_what_is_too_many_goes(fleet: Fleet, where: str) -> None:
    """Of tasks that are reported together, and whose parts have keys of their own."""
    manager, other = fleet.manager(max_finished=1), fleet.manager(max_finished=1)
    text = "x" * 2000
    ids = [f"{number}" for number in range(4)]
    await manager.submit_many(Task(id=one, objective=text if where == "objective" else "") for one in ids)
    claimed = await manager.claim_next("a", count=4)
    # Heard from now on: who subscribes reads again, and what has gone is unknown.
    await other.claim_next("b", topics=[], pool_ids=[], capabilities=[], wait=0.01)
    waiting = [asyncio.create_task(other.wait_until_done(one, TIMEOUT)) for one in ids]
    for one in ids:
        await is_waiting(fleet, one)
    result = encode("result", text if where == "result" else "ok", 10**6)
    claims = [(task.id, "a", task.claim_token or 0, result) for task in claimed]
    assert (
        await fleet.run(manager, settling.report_encoded(fleet.namespaces["test"], 0, claims)) == [True] * 4
    )
    for task in await asyncio.gather(*waiting):
        assert task is not None
        assert text in (task.objective, task.result)
    assert (await manager.counts())["completed"] == 1
