"""Renewals of places in the claim queue, which make up for lost messages and lost connections."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from converge_redis import AsyncRedisStore, AsyncTaskManager, StoreReplyError, Task
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.notifications import waiters
from converge_redis.tasks import claim_queue
from converge_redis.tasks.claim_filter import ClaimFilter
from converge_redis.tasks.claim_queue import ClaimQueue, WaitingClaimer
from converge_redis.tasks.due_timer import DueTimer
from tests.support.backends import TIMEOUT, async_until
from tests.support.fleet import Fleet
from tests.tasks.support import (
    LISTENER_KINDS,
    LONG_WAIT,
    claimed_ids,
    kill_subscription,
    listener_keys,
    nonzero_counts,
    places,
    read_task,
    start_claim,
    until_places,
    until_unregistered,
    until_watched,
    within_timeout,
)


@pytest.fixture
def url_without_channels(real_fleet: Fleet) -> Iterator[str]:
    """The server's URL for a user who may do everything but publish and subscribe."""
    assert real_fleet.backend.url is not None
    raw: Any = real_fleet.raw
    raw.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "resetchannels")
    yield real_fleet.backend.url.replace("://", "://mute:pw@", 1)
    raw.execute_command("ACL", "DELUSER", "mute")


async def test_a_user_who_may_not_publish_can_work(
    real_fleet: Fleet, url_without_channels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = real_fleet
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(waiters, "REREAD_SECONDS", 0.2)
    listening = fleet.manager()
    async with AsyncRedisStore.from_url(url_without_channels, "test") as store:
        muted = AsyncTaskManager(store)
        task_id = await muted.submit(Task())
        ending = asyncio.create_task(listening.wait_until_done(task_id, LONG_WAIT))
        await until_watched(fleet, task_id)
        [task] = await muted.claim_next("a")
        assert await muted.report("a", task_id, "result", claim_token=task.claim_token)
        ended = await within_timeout(ending)  # by reading again, since no message could be published
        assert ended is not None
        assert ended.result == "result"
        claim = start_claim(listening, "a")
        await until_places(fleet, 1)
        late = await muted.submit(Task())
        assert await claimed_ids(claim) == [late]  # by a renewal
        delayed = await muted.submit(Task(), delay=1000)
        assert await nonzero_counts(listening) == {"completed": 1, "assigned": 1, "pending": 1, "delayed": 1}
        await muted.cancel_task(late)
        for refused in (muted.claim_next("a", wait=LONG_WAIT), muted.wait_until_done(delayed, LONG_WAIT)):
            with pytest.raises(StoreReplyError, match=r"[Cc]hannel"):
                await within_timeout(refused)
        await listening.cancel_task(delayed)
        assert (await read_task(muted, task_id)).result == "result"


async def test_places_are_renewed_after_a_lost_connection(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager, submitter = fleet.manager(), fleet.manager()
    claims = {start_claim(manager, f"{number}") for number in range(6)}
    await until_places(fleet, 6)
    while claims:
        await kill_subscription(fleet.raw)
        task_id = await submitter.submit(Task())  # before or after the listener has subscribed again
        done, claims = await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT)
        assert await claimed_ids(*done) == [task_id]
        await until_places(fleet, len(claims))


async def test_a_renewal_finds_the_work_of_a_lost_message(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", 0.2)
    monkeypatch.setattr(ClaimQueue, "_on_work", lambda *_: None)
    manager, submitter = fleet.manager(shards=2), fleet.manager(shards=2)
    claims = [start_claim(manager, f"{number}", (None, None, ["one"])) for number in range(3)]
    await until_places(fleet, 6)
    ids = [await submitter.submit(Task(topic="one")) for _ in range(3)]
    assert sorted(await claimed_ids(*claims)) == sorted(ids)
    await until_unregistered(fleet, "waiting:")


async def test_a_renewal_restores_a_lost_place(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", 0.05)
    manager, submitter = fleet.manager(), fleet.manager()
    claim = start_claim(manager, "a")
    await until_places(fleet, 1)
    before = places(fleet)
    fleet.raw.delete(*listener_keys(fleet))
    await until_places(fleet, 1)
    assert places(fleet) == before
    assert {kind for kind in LISTENER_KINDS if listener_keys(fleet, kind)} == {*LISTENER_KINDS} - {
        "watchers:"
    }
    task_id = await submitter.submit(Task())
    assert await claimed_ids(claim) == [task_id]


class FakeListener:
    """A listener whose server replies to renewals once it may."""

    id = "me"
    namespace = Namespace("test")
    is_subscribed = True

    def __init__(self) -> None:
        self.may_reply = asyncio.Event()
        self.renewed: list[list[int]] = []
        self.left: list[list[int]] = []
        self.woken: list[str] = []
        self.drains = 0
        self.queue = ClaimQueue(cast("Any", self))

    def part(self, kind: type[DueTimer]) -> DueTimer:
        return kind(cast("Any", self))

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        callback(*args)

    async def drained(self) -> None:
        self.drains += 1

    async def run(self, operation: Operation[Any]) -> Any:
        args = [*operation.args]
        match operation.script.name:
            case "tasks/renew_claimers":
                count = int(args[2])
                self.renewed.append([int(number) for number in args[3 : 3 + count]])
                await self.may_reply.wait()
                return None, [("lane", 1)]
            case "tasks/leave_claim_queue":
                self.left.append([int(number) for number in args[2:]])
            case "tasks/wake_next_claimer":
                self.woken.append(str(args[0]))
        return None


def queued_claimer(queue: ClaimQueue, claim_filter: ClaimFilter) -> WaitingClaimer:
    claimer = queue.add(claim_filter)
    claimer.claim_sent(0)
    claimer.claim_answered(0, queued=True)
    return claimer


async def test_a_renewal_hands_work_to_the_claimers_that_still_wait() -> None:
    listener = FakeListener()
    queue = listener.queue
    first, second = queued_claimer(queue, ()), queued_claimer(queue, ())
    other = queued_claimer(queue, ("other",))
    renewing = asyncio.create_task(queue._renew_loop())
    await asyncio.sleep(0)
    queue.renew_soon()
    await async_until(lambda: listener.renewed)
    first.close()
    other.close()
    listener.may_reply.set()
    assert await second.next_ready_lane(TIMEOUT) == (0, "lane")
    await queue._flush()
    assert sorted(listener.left) == [[first.number], [other.number]]
    assert listener.woken == []
    assert listener.renewed == [[first.number, second.number]]  # without the place that `other` has left
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)


async def test_a_claimer_with_a_claim_in_flight_leaves_the_queue() -> None:
    listener = FakeListener()
    claimer = listener.queue.add(())
    claimer.claim_sent(0)
    claimer.close()
    await listener.queue._flush()
    assert listener.drains == 1
    assert listener.left == [[claimer.number]]


async def test_work_that_a_claimer_does_not_use_wakes_another() -> None:
    listener = FakeListener()
    queue = listener.queue
    claimer = queued_claimer(queue, ())
    for name in ("one", "two", "three"):
        queue._on_work(0, f"{claimer.number} {name}".encode())
    assert await claimer.next_ready_lane(TIMEOUT) == (0, "one")
    claimer.claim_sent(0)
    claimer.claim_answered(0, queued=True)
    assert await claimer.next_ready_lane(TIMEOUT) == (0, "two")
    claimer.close()
    queue._on_work(0, f"{claimer.number} four".encode())
    await queue._flush()
    assert sorted(listener.woken) == ["four", "three", "two"]
    assert listener.left == [[claimer.number]]
