"""The queues of claimers that wait: who is woken for a task, who is not, and what is left behind."""

import asyncio
import itertools
import random
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from converge_redis import AsyncRedisStore, AsyncTaskManager, StoreClosedError, StoreReplyError, Task
from converge_redis.core.keys import lane
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.tasks import claim_queue
from converge_redis.tasks.claim_filter import ClaimFilter, encode_filter
from converge_redis.tasks.claim_queue import ClaimQueue, WaitingClaimer
from converge_redis.tasks.claim_queue_operations import close_claim_queue, renew_claimers
from converge_redis.tasks.due_timer import DueTimer
from tests.support.backends import TIMEOUT, eventually
from tests.support.fleet import Fleet
from tests.tasks.test_states import counted, read

Filter = tuple[list[str] | None, list[str] | None, list[str] | None]
"""Pools, capabilities and topics, as claim_next takes them."""

SOFT_KEYS = ("waiting:", "door:", "profile:", "watchers:", "listeners", "alarm")


def soft_keys(fleet: Fleet, *kinds: str) -> set[str]:
    """What the server keeps about listeners, of some kinds."""
    kinds = kinds or SOFT_KEYS
    raw: Any = fleet.raw
    names = [key.decode() for key in raw.keys("*")]
    return {name for name in names if name.partition("}:")[2].startswith(kinds)}


def places(fleet: Fleet) -> set[tuple[str, bytes]]:
    """Who stands in which queue."""
    raw: Any = fleet.raw
    return {(key, who) for key in soft_keys(fleet, "waiting:") for who in raw.zrange(key, 0, -1)}


async def all_wait(fleet: Fleet, number: int) -> None:
    """Return once there are so many places in queues."""

    async def there() -> bool:
        return len(places(fleet)) == number

    await eventually(there)


async def gone(fleet: Fleet, *kinds: str) -> None:
    """Return once nothing of some kinds is kept about listeners."""

    async def none() -> bool:
        return not soft_keys(fleet, *kinds)

    await eventually(none)


def claims(manager: AsyncTaskManager, agent: str, wanted: Filter = (None, None, None), **more: Any) -> Any:
    """A claim that waits, under way."""
    return asyncio.create_task(manager.claim_next(agent, *wanted, wait=TIMEOUT, **more))


async def told(*claiming: "asyncio.Task[list[Task]]") -> list[str]:
    """What claims that wait have got, once each has got something; and not because the time was up."""
    began = time.monotonic()
    claimed = await asyncio.gather(*claiming)
    assert time.monotonic() - began < TIMEOUT / 2
    assert all(claimed)
    return [task.id for tasks in claimed for task in tasks]


async def drop(*claiming: "asyncio.Task[list[Task]]") -> None:
    """Cancel claims; those of threads end with their store."""
    for task in claiming:
        task.cancel()
    await asyncio.gather(*claiming, return_exceptions=True)


class Ear:
    """A listener made by hand: it hears what it is told, and claims nothing."""

    def __init__(self, fleet: Fleet, manager: AsyncTaskManager, name: str = "ear", shard: int = 0) -> None:
        self._fleet, self._manager, self._name, self._shard = fleet, manager, name, shard
        self._heard = fleet.raw.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._heard.subscribe(fleet.namespaces["test"].keys.channel(shard, name))
        self._heard.get_message(timeout=TIMEOUT)

    async def stand(self, number: int, wanted: Filter = (None, None, None)) -> list[tuple[str, int]]:
        """Take or renew a place; returns the work that there is."""
        renewal = renew_claimers(
            self._fleet.namespaces["test"], self._shard, self._name, encode_filter(*wanted), [number]
        )
        _, work = await self._fleet.run(self._manager, renewal)
        return list(work)

    def told(self) -> list[bytes]:
        """All that it was told since the last time."""
        messages: list[bytes] = []
        while message := self._heard.get_message(timeout=0.01):
            messages.append(message["data"])
        return messages

    async def close(self) -> None:
        farewell = close_claim_queue(self._fleet.namespaces["test"], self._shard, self._name)
        await self._fleet.run(self._manager, farewell)
        self._heard.close()


# Who is woken


async def test_each_task_wakes_one_of_those_who_wait(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    ear = Ear(fleet, manager)
    for number in range(5):
        await ear.stand(number)
    everybody = places(fleet)
    for number in range(5):
        assert len(places(fleet)) == 5 - number
        await manager.submit(Task())
        assert ear.told() == [f"work {number} ::".encode()]  # in the order in which they came
    assert len(everybody) == 5
    assert not soft_keys(fleet, "waiting:", "door:", "profile:")
    await manager.submit(Task())
    assert ear.told() == []
    await ear.close()


async def test_those_who_wait_are_served_in_turn(fleet: Fleet) -> None:
    managers, submitter = [fleet.manager(), fleet.manager()], fleet.manager()
    waiting = []
    for number in range(4):
        waiting.append(claims(managers[number % 2], f"agent {number}"))
        await all_wait(fleet, number + 1)
    for number in range(4):
        task_id = await submitter.submit(Task())
        assert await told(waiting[number]) == [task_id]
        await all_wait(fleet, 3 - number)
        assert not any(other.done() for other in waiting[number + 1 :])


STRANGE = ["p", "a:b", "*", " ", "%", "é漢", "a,b", "::", "-1"]
MANY = [f"n{number:03}" for number in range(70)]

FILTERS: dict[str, Filter] = {
    "no filter": (None, None, None),
    "nothing but open tasks": ([], [], []),
    "no pool": ([], None, None),
    "no topic": (None, None, []),
    "no capability": (None, [], None),
    "a pool": (["p"], None, None),
    "strange pools": (STRANGE[1:4], ["*"], STRANGE[4:]),
    "strange topics": (None, None, STRANGE),
    "a star": (["*"], None, ["*"]),
    "all of them": (STRANGE, STRANGE, STRANGE),
    "capabilities": (None, ["c", "d"], None),
    "pools by topics, too many for doors": (["p", *MANY[:20]], None, ["p", *MANY[:20]]),
    "too many pools": (["p", *MANY], ["c"], ["p"]),
    "too many topics": (None, None, ["a:b", *MANY]),
    "too many of both": (["p", *MANY], None, ["p", *MANY]),
}

Needs = tuple[str | None, str | None, list[str]]

NEEDED: list[Needs] = [
    (None, None, []),
    ("p", None, []),
    (None, "p", []),
    ("p", "p", ["c"]),
    (None, None, ["c", "d"]),
    (None, None, ["c", "e"]),
    ("n001", "n002", []),
    ("n069", "n069", []),
    ("a:b", None, []),
    ("a", "b", []),
    (None, "a:b", ["a:b"]),
    ("*", "*", ["*"]),
    ("*", None, []),
    (None, "*", []),
    (" ", "%", []),
    ("é漢", "é漢", ["é漢"]),
    ("::", "-1", ["a,b"]),
]


def may(wanted: Filter, needs: Needs) -> bool:
    """Whether an agent may have a task, as the interface's words have it."""
    pools, capabilities, topics = wanted
    pool, topic, required = needs
    return (
        (pool is None or pools is None or pool in pools)
        and (topic is None or topics is None or topic in topics)
        and (capabilities is None or set(required) <= set(capabilities))
    )


async def test_those_are_woken_who_may_have_the_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    ear = Ear(fleet, manager)
    for number, wanted in enumerate(FILTERS.values()):
        assert await ear.stand(number, wanted) == []
    names = list(FILTERS)
    for pool, topic, capabilities in NEEDED:
        needs = (pool, topic, capabilities)
        able = {name for name, wanted in FILTERS.items() if may(wanted, needs)}
        ids = []
        for _ in range(len(able) + 1):  # one more than there are to wake
            task = Task(pool_id=pool, topic=topic, required_capabilities=capabilities)
            ids.append(await manager.submit(task))
        heard = [message.split(b" ", 2) for message in ear.told()]
        assert {names[int(number)] for _, number, _ in heard} == able
        assert len(heard) == len(able)
        assert {told_of for _, _, told_of in heard} == {lane(pool, topic, capabilities).encode()}
        assert len(places(fleet)) == len(FILTERS) - len(able)
        for name in able:  # and a claimer that comes while there is work is told so by its renewal
            work = await ear.stand(names.index(name), FILTERS[name])
            assert work == [(lane(pool, topic, capabilities), len(ids))]
        for task_id in ids:
            await manager.cancel_task(task_id)
    await ear.close()
    fleet.raw.delete(*soft_keys(fleet))


@pytest.mark.parametrize("name", FILTERS)
async def test_a_claimer_with_a_filter_waits_for_what_it_may_have(real_fleet: Fleet, name: str) -> None:
    fleet, wanted = real_fleet, FILTERS[name]
    claimer, submitter = fleet.manager(), fleet.manager()
    refused = [needs for needs in NEEDED if not may(wanted, needs)]
    allowed = [needs for needs in NEEDED if may(wanted, needs)]

    def task_of(needs: Needs) -> Task:
        return Task(pool_id=needs[0], topic=needs[1], required_capabilities=needs[2])

    waiting = claims(claimer, "a", wanted)
    await all_wait(fleet, 1)
    before = places(fleet)
    await submitter.submit_many(map(task_of, refused))
    assert places(fleet) == before  # nobody was woken in vain
    task_id = await submitter.submit(task_of(allowed[-1]))
    assert await told(waiting) == [task_id]
    await gone(fleet, "waiting:", "door:", "profile:")


ONE, BOTH = (None, None, ["one"]), (None, None, ["one", "two"])


@pytest.mark.parametrize("better", ["two", None])
async def test_each_task_finds_its_claimer(fleet: Fleet, better: str | None) -> None:
    """Who is woken for a task and takes a better one leaves it to another who may have it."""
    managers, submitter = [fleet.manager() for _ in range(3)], fleet.manager()
    for order in itertools.permutations([ONE, BOTH, BOTH]):
        waiting = []
        for number, wanted in enumerate(order):
            waiting.append(claims(managers[number], f"agent {number}", wanted))
            await all_wait(fleet, number + 1)
        tasks = [Task(topic=topic, priority=9 if topic == better else 0) for topic in ("one", "two", "one")]
        if better is None:
            for task in tasks:
                await submitter.submit(task)
        else:
            await submitter.submit_many(tasks)
        assert sorted(await told(*waiting)) == sorted(task.id for task in tasks)
        await gone(fleet, "waiting:")


async def test_work_that_a_claimer_leaves_for_better_work_goes_to_another(fleet: Fleet) -> None:
    """As above, where the other is one that nobody else would wake."""
    manager, other, submitter = fleet.manager(), fleet.manager(), fleet.manager()
    await submitter.counts()
    ear = Ear(fleet, submitter)
    first = claims(manager, "first", BOTH)
    await all_wait(fleet, 1)
    await ear.stand(2, BOTH)  # hears of a task, and does not come
    last = claims(other, "last", ONE)
    await all_wait(fleet, 3)
    poor, good = Task(topic="one"), Task(topic="two", priority=1)
    await submitter.submit_many([poor, good])  # in one step: `first` is woken for the poor one, `ear` too
    assert await told(first) == [good.id]
    assert await told(last) == [poor.id]
    assert ear.told() == [b"work 2 :two:"]
    await ear.close()


# Who waits no more


async def test_a_claimer_that_is_cancelled_when_it_is_woken_passes_the_work_on(fleet: Fleet) -> None:
    if fleet.style == "sync":
        return  # a thread cannot be cancelled
    first, second, submitter = fleet.manager(), fleet.manager(), fleet.manager()
    for turns in range(16):
        woken = claims(first, "first")
        await all_wait(fleet, 1)
        next_one = claims(second, "second")
        await all_wait(fleet, 2)
        task_id = await submitter.submit(Task())
        for _ in range(turns):
            await asyncio.sleep(0)
        woken.cancel()
        await asyncio.wait([woken])

        async def ended() -> bool:
            # The claim was on its way to the server, or its reply on the way back: the task is whose it is.
            return next_one.done() or (await read(submitter, task_id)).assigned_to == "first"  # noqa: B023

        await eventually(ended)
        if not next_one.done():
            await submitter.release("first", task_id)
        assert await told(next_one) == [task_id]


async def test_work_for_a_claimer_that_nobody_knows_is_passed_on(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    await submitter.counts()
    ear = Ear(fleet, submitter)
    await ear.stand(1)
    waiting = claims(manager, "a")
    await all_wait(fleet, 2)
    task_id = await submitter.submit(Task())
    assert ear.told() == [b"work 1 ::"]  # and the other was not woken
    [(_, place)] = places(fleet)
    listener, _, number = place.partition(b" ")
    unknown = int(number) + 1
    assert fleet.raw.publish("{test:0}:listener:" + listener.decode(), f"work {unknown} ::") == 1
    assert await told(waiting) == [task_id]
    await ear.close()


async def test_hundreds_of_dead_claimers_are_passed_over_at_once(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    waiting = claims(manager, "a")
    await all_wait(fleet, 1)
    [(queue, place)] = places(fleet)
    since = float(str(fleet.raw.zscore(queue, place)))
    for dead in ("deadlistener", "another"):
        fleet.raw.zadd(queue, {f"{dead} {number}": since - 1000 - number for number in range(1, 251)})
        fleet.raw.zadd("{test:0}:listeners", {dead: since})
    task_id = await submitter.submit(Task())
    assert not {who for _, who in places(fleet) if not who.startswith(place.partition(b" ")[0])}
    assert await told(waiting) == [task_id]
    assert b"deadlistener" not in fleet.raw.zrange("{test:0}:listeners", 0, -1)
    await gone(fleet, "waiting:", "door:", "profile:")


def age(fleet: Fleet) -> None:
    """Have a minute pass for what is known of those who wait."""
    listeners: Any = fleet.raw.zrange("{test:0}:listeners", 0, -1)
    for listener in listeners:
        fleet.raw.zincrby("{test:0}:listeners", -60e6, listener)
    for key in fleet.raw.scan_iter("{test:0}:profile:*"):
        fleet.raw.pexpire(key, fleet.raw.pttl(key) - 60_000)


async def test_registrations_that_were_never_renewed_are_dropped(fleet: Fleet) -> None:
    manager = fleet.manager()
    waiting = claims(manager, "a")
    await all_wait(fleet, 1)
    [(queue, _)] = places(fleet)
    fleet.raw.zadd(queue, {f"dead {number}": 1000 for number in range(10)})
    fleet.raw.zadd("{test:0}:listeners", {"dead": 1000})
    age(fleet)
    another = claims(manager, "b")
    await all_wait(fleet, 2)
    assert len(fleet.raw.zrange("{test:0}:listeners", 0, -1)) == 1
    await manager.submit_many([Task(), Task()])
    await told(waiting, another)


async def test_a_claim_out_of_time_leaves_the_queue(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    assert await manager.claim_next("a", ["p"], ["c"], ["t"], wait=0.05) == []
    await gone(fleet, "waiting:", "door:", "profile:")
    await fleet.close_store(manager)
    assert not soft_keys(fleet)


async def test_a_cancelled_claim_leaves_the_queue_at_any_moment(fleet: Fleet) -> None:
    if fleet.style == "sync":
        return  # a thread cannot be cancelled
    manager = fleet.manager(shards=3)
    assert await manager.claim_next("a", wait=0.001) == []  # connected, subscribed
    for turns in range(40):
        waiting = claims(manager, "a")
        for _ in range(turns):
            await asyncio.sleep(0)
        await drop(waiting)
        await gone(fleet, "waiting:", "door:", "profile:")


async def test_a_closed_store_leaves_nothing(fleet: Fleet) -> None:
    manager, other = fleet.manager(shards=3), fleet.manager(shards=3)
    waiting = [claims(manager, f"{number}", (None, None, [f"{number % 2}"])) for number in range(4)]
    staying = claims(other, "other")
    await all_wait(fleet, 15)
    task_id = await other.submit(Task(topic="nobody's", pool_id="p"), delay=1000)
    wait = asyncio.create_task(manager.wait_until_done(task_id, None))

    async def watched() -> bool:
        return bool(soft_keys(fleet, "watchers:"))

    await eventually(watched)
    await fleet.close_store(manager)
    for ended in [*waiting, wait]:
        with pytest.raises(StoreClosedError):
            await asyncio.wait_for(ended, TIMEOUT)
    assert {who for _, who in places(fleet)} == {places(fleet).pop()[1]}  # the other's, in each shard
    assert not soft_keys(fleet, "watchers:")
    await fleet.close_store(other)
    assert isinstance(await asyncio.gather(staying, return_exceptions=True), list)
    assert not soft_keys(fleet)


async def test_a_claim_leaves_the_queues_of_other_shards(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(shards=3), fleet.manager(shards=3)
    for _ in range(4):
        waiting = [claims(manager, "a"), claims(manager, "b")]
        await all_wait(fleet, 6)
        assert {key[:8] for key, _ in places(fleet)} == {"{test:0}", "{test:1}", "{test:2}"}
        task_id = await submitter.submit(Task())
        done, still = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT)
        assert await told(*done) == [task_id]
        await all_wait(fleet, 3)
        await submitter.submit(Task())
        await told(*still)
        await gone(fleet, "waiting:", "door:", "profile:")


async def test_a_claimer_takes_as_many_as_it_asked_for(fleet: Fleet) -> None:
    first, second, submitter = fleet.manager(), fleet.manager(), fleet.manager()
    greedy = claims(first, "greedy", count=3)
    await all_wait(fleet, 1)
    modest = claims(second, "modest", count=2)
    await all_wait(fleet, 2)
    ids = await submitter.submit_many(Task() for _ in range(4))  # one script: all are there when they come
    claimed = [len(await greedy), len(await modest)]
    assert claimed in ([3, 1], [2, 2])
    assert sorted(task.id for tasks in (greedy, modest) for task in tasks.result()) == sorted(ids)
    await gone(fleet, "waiting:")


async def test_who_is_woken_and_finds_nothing_waits_on(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    waiting = claims(manager, "a")
    await all_wait(fleet, 1)
    for _ in range(3):  # as if others were faster
        [(queue, place)] = places(fleet)
        listener, number = place.decode().split(" ")
        fleet.raw.zrem(queue, place)
        fleet.raw.publish("{test:0}:listener:" + listener, f"work {number} ::")
        await all_wait(fleet, 1)
    assert places(fleet) == {(queue, place)}
    task_id = await submitter.submit(Task())
    assert await told(waiting) == [task_id]


# The last look


async def test_no_task_is_lost_by_claims_with_little_time(fleet: Fleet) -> None:
    managers, submitter = [fleet.manager(shards=2) for _ in range(2)], fleet.manager(shards=2)
    chance = random.Random(5)
    got: list[str] = []
    submitted = asyncio.Event()

    async def keep_claiming(number: int) -> None:
        while not submitted.is_set():
            wait = chance.uniform(0.001, 0.02)
            got.extend(
                task.id for task in await managers[number % 2].claim_next(f"{number}", wait=wait, count=2)
            )

    claiming = [asyncio.create_task(keep_claiming(number)) for number in range(6)]
    ids = []
    for _ in range(40):
        ids += await submitter.submit_many(Task() for _ in range(chance.randint(1, 3)))
        await asyncio.sleep(chance.uniform(0, 0.004))
    submitted.set()
    await asyncio.gather(*claiming)
    left = await submitter.list_pending_tasks()
    assert sorted(ids) == sorted([*got, *(task.id for task in left)])  # each once
    assert await counted(submitter) == {
        state: number for state, number in {"assigned": len(got), "pending": len(left)}.items() if number
    }
    late = [claims(managers[0], "late") for _ in left]
    assert sorted(await told(*late)) == sorted(task.id for task in left)
    await gone(fleet, "waiting:", "door:", "profile:")


# What is kept about those who wait


async def test_all_that_is_kept_about_listeners_expires(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    waiting = claims(manager, "a", (["p", "q"], ["c"], ["s", "t"]))
    await all_wait(fleet, 1)
    task_id = await submitter.submit(Task(), delay=1000)
    wait = asyncio.create_task(manager.wait_until_done(task_id, TIMEOUT))

    async def watched() -> bool:
        return bool(soft_keys(fleet, "watchers:"))

    await eventually(watched)
    kept = soft_keys(fleet)
    assert {name.partition("}:")[2].partition(":")[0] for name in kept} == {
        kind.rstrip(":") for kind in SOFT_KEYS
    }
    assert len(kept) == 5 + 9  # a door for each pool and topic, and for tasks without
    assert all(0 < fleet.raw.ttl(name) <= 300 for name in kept)
    await submitter.cancel_task(task_id)
    await wait
    await submitter.submit(Task())
    await told(waiting)


@pytest.fixture
def mute(real_fleet: Fleet) -> Any:
    """The URL of a user who may do everything but publish and subscribe."""
    assert real_fleet.backend.url is not None
    real_fleet.raw.execute_command("ACL", "SETUSER", "mute", "on", ">pw", "~*", "+@all", "resetchannels")  # type: ignore[no-untyped-call]
    yield real_fleet.backend.url.replace("://", "://mute:pw@", 1)
    real_fleet.raw.execute_command("ACL", "DELUSER", "mute")  # type: ignore[no-untyped-call]


async def test_a_user_who_may_not_publish_can_work(
    real_fleet: Fleet, mute: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet = real_fleet
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", 0.2)
    hearing = fleet.manager()
    async with AsyncRedisStore.from_url(mute, "test") as store:
        muted = AsyncTaskManager(store)
        task_id = await muted.submit(Task())
        wait = asyncio.create_task(hearing.wait_until_done(task_id, 0.3))
        await asyncio.wait([wait], timeout=0.1)
        [task] = await muted.claim_next("a")
        assert await muted.report("a", task_id, "result", claim_token=task.claim_token)
        waiting = claims(hearing, "a")
        await all_wait(fleet, 1)
        late = await muted.submit(Task())
        assert await told(waiting) == [late]  # found by the renewal: nobody could be woken
        delayed = await muted.submit(Task(), delay=1000)
        assert await counted(hearing) == {"completed": 1, "assigned": 1, "pending": 1, "delayed": 1}
        await muted.cancel_task(late)
        for refused in (muted.claim_next("a", wait=TIMEOUT), muted.wait_until_done(delayed, TIMEOUT)):
            with pytest.raises(StoreReplyError, match=r"[Cc]hannel"):
                await refused
        await hearing.cancel_task(delayed)
        assert (await read(muted, task_id)).result == "result"
        await wait


# Messages that are lost


async def test_places_are_taken_again_after_a_lost_connection(real_fleet: Fleet) -> None:
    fleet = real_fleet
    manager, submitter = fleet.manager(), fleet.manager()
    waiting = {claims(manager, f"{number}") for number in range(6)}
    await all_wait(fleet, 6)
    while waiting:
        assert fleet.raw.client_kill_filter(_type="pubsub") == 1
        task_id = await submitter.submit(Task())  # finds them all dead, or finds them back
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT / 2)
        assert await told(*done) == [task_id]
        await all_wait(fleet, len(waiting))


async def test_a_renewal_finds_the_work_of_a_lost_message(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", 0.05)
    monkeypatch.setattr(ClaimQueue, "_on_work", lambda *_: None)
    manager, submitter = fleet.manager(shards=2), fleet.manager(shards=2)
    waiting = [claims(manager, f"{number}", ONE) for number in range(3)]
    await all_wait(fleet, 6)
    ids = [await submitter.submit(Task(topic="one")) for _ in range(3)]
    assert sorted(await told(*waiting)) == sorted(ids)
    await gone(fleet, "waiting:")


async def test_a_renewal_takes_a_lost_place_again(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", 0.05)
    manager, submitter = fleet.manager(), fleet.manager()
    waiting = claims(manager, "a")
    await all_wait(fleet, 1)
    before = places(fleet)
    await all_wait(fleet, 1)
    assert places(fleet) == before
    assert {kind for kind in SOFT_KEYS if soft_keys(fleet, kind)} == {*SOFT_KEYS} - {"watchers:"}
    task_id = await submitter.submit(Task())
    assert await told(waiting) == [task_id]


class FakeListener:
    """A listener whose server replies to renewals when it is allowed to."""

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


def queued(queue: ClaimQueue, claim_filter: ClaimFilter) -> WaitingClaimer:
    claimer = queue.add(claim_filter)
    claimer.claim_sent(0)
    claimer.claim_answered(0, queued=True)
    return claimer


async def test_a_renewal_hands_work_to_the_claimers_that_still_wait() -> None:
    listener = FakeListener()
    queue = listener.queue
    first, second = queued(queue, ()), queued(queue, ())
    other = queued(queue, ("other",))
    renewing = asyncio.create_task(queue._renew_loop())
    await asyncio.sleep(0)
    queue.renew_soon()

    async def renewed() -> bool:
        return bool(listener.renewed)

    await eventually(renewed)
    first.close()
    other.close()
    listener.may_reply.set()
    assert await second.next_ready_lane(TIMEOUT) == (0, "lane")
    await queue._flush()
    assert sorted(listener.left) == [[first.number], [other.number]]
    assert listener.woken == []
    assert listener.renewed == [[first.number, second.number]]  # not the place that the other one has left
    renewing.cancel()
    await asyncio.gather(renewing, return_exceptions=True)


async def test_a_claimer_with_a_claim_in_flight_leaves_the_queue_too() -> None:
    listener = FakeListener()
    claimer = listener.queue.add(())
    claimer.claim_sent(0)
    claimer.close()
    await listener.queue._flush()
    assert listener.drains == 1
    assert listener.left == [[claimer.number]]


async def test_another_claimer_is_woken_for_work_that_was_not_used() -> None:
    listener = FakeListener()
    queue = listener.queue
    claimer = queued(queue, ())
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
