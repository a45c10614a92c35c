"""The claim queue: which waiting claimers a task wakes, and which it does not."""

import asyncio
import itertools

import pytest

from converge_redis import Task
from converge_redis.core.keys import lane
from tests.support.backends import TIMEOUT
from tests.support.fleet import Fleet
from tests.tasks.support import (
    LISTENER_KINDS,
    NO_FILTER,
    QUEUE_KINDS,
    FilterArgs,
    ManualListener,
    claimed_ids,
    listener_keys,
    places,
    start_claim,
    subscribe,
    until_places,
    until_unregistered,
    until_watched,
)

ODD = ["p", "a:b", "*", " ", "%", "é漢", "a,b", "::", "-1"]
MANY = [f"n{number:03}" for number in range(70)]

FILTERS: dict[str, FilterArgs] = {
    "no filter": NO_FILTER,
    "open tasks only": ([], [], []),
    "no pool": ([], None, None),
    "no topic": (None, None, []),
    "no capability": (None, [], None),
    "a pool": (["p"], None, None),
    "odd pools": (ODD[1:4], ["*"], ODD[4:]),
    "odd topics": (None, None, ODD),
    "a star": (["*"], None, ["*"]),
    "all odd names": (ODD, ODD, ODD),
    "capabilities": (None, ["c", "d"], None),
    "more pairs of pool and topic than are indexed": (["p", *MANY[:20]], None, ["p", *MANY[:20]]),
    "more pools than are indexed": (["p", *MANY], ["c"], ["p"]),
    "more topics than are indexed": (None, None, ["a:b", *MANY]),
    "more pools and topics than are indexed": (["p", *MANY], None, ["p", *MANY]),
}

Needs = tuple[str | None, str | None, list[str]]
"""Pool, topic and required capabilities of a task."""

NEEDS: list[Needs] = [
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

TOPIC_ONE: FilterArgs = (None, None, ["one"])
BOTH_TOPICS: FilterArgs = (None, None, ["one", "two"])


def is_allowed(filters: FilterArgs, needs: Needs) -> bool:
    """Return whether an agent may have a task, as `claim_next` documents it."""
    pools, capabilities, topics = filters
    pool, topic, required = needs
    return (
        (pool is None or pools is None or pool in pools)
        and (topic is None or topics is None or topic in topics)
        and (capabilities is None or set(required) <= set(capabilities))
    )


def task_with(needs: Needs) -> Task:
    pool, topic, capabilities = needs
    return Task(pool_id=pool, topic=topic, required_capabilities=capabilities)


async def test_each_task_wakes_one_waiting_claimer(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    listener = ManualListener(fleet, manager)
    for number in range(5):
        await listener.register(number)
    for number in range(5):
        assert len(places(fleet)) == 5 - number
        await manager.submit(Task())
        assert listener.messages() == [f"work {number} ::".encode()]  # in the order of registration
    assert not listener_keys(fleet, *QUEUE_KINDS)
    await manager.submit(Task())
    assert listener.messages() == []
    await listener.close()


async def test_waiting_claimers_are_served_in_their_order(fleet: Fleet) -> None:
    managers, submitter = [fleet.manager(), fleet.manager()], fleet.manager()
    for manager in managers:
        await subscribe(fleet, manager)
    claims = []
    for number in range(4):
        claims.append(start_claim(managers[number % 2], f"agent {number}"))
        await until_places(fleet, number + 1)
    for number in range(4):
        task_id = await submitter.submit(Task())
        assert await claimed_ids(claims[number]) == [task_id]
        await until_places(fleet, 3 - number)
        assert not any(later.done() for later in claims[number + 1 :])


async def test_a_task_wakes_exactly_the_claimers_that_may_have_it(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.counts()
    listener = ManualListener(fleet, manager)
    for number, filters in enumerate(FILTERS.values()):
        assert await listener.register(number, filters) == []
    names = list(FILTERS)
    for needs in NEEDS:
        task_lane = lane(*needs)
        allowed = {name for name, filters in FILTERS.items() if is_allowed(filters, needs)}
        ids = [await manager.submit(task_with(needs)) for _ in range(len(allowed) + 1)]  # one too many
        messages = [message.split(b" ", 2) for message in listener.messages()]
        assert {names[int(number)] for _, number, _ in messages} == allowed
        assert len(messages) == len(allowed)
        assert {woken_for for _, _, woken_for in messages} == {task_lane.encode()}
        assert len(places(fleet)) == len(FILTERS) - len(allowed)
        for name in allowed:  # the reply to a renewal contains the lanes that have work
            assert await listener.register(names.index(name), FILTERS[name]) == [(task_lane, len(ids))]
        for task_id in ids:
            await manager.cancel_task(task_id)
    await listener.close()
    fleet.raw.delete(*listener_keys(fleet))


@pytest.mark.parametrize("name", FILTERS)
async def test_a_filtered_claim_is_woken_only_for_a_task_that_it_may_have(
    real_fleet: Fleet, name: str
) -> None:
    fleet, filters = real_fleet, FILTERS[name]
    claimer, submitter = fleet.manager(), fleet.manager()
    claim = start_claim(claimer, "a", filters)
    await until_places(fleet, 1)
    before = places(fleet)
    await submitter.submit_many(task_with(needs) for needs in NEEDS if not is_allowed(filters, needs))
    assert places(fleet) == before
    allowed = [needs for needs in NEEDS if is_allowed(filters, needs)]
    task_id = await submitter.submit(task_with(allowed[-1]))
    assert await claimed_ids(claim) == [task_id]
    await until_unregistered(fleet, *QUEUE_KINDS)


@pytest.mark.parametrize("better", ["two", None])
async def test_every_task_finds_a_claimer(fleet: Fleet, better: str | None) -> None:
    """A claimer that is woken for a task and claims a better one leaves the first to another claimer."""
    managers, submitter = [fleet.manager() for _ in range(3)], fleet.manager()
    for order in itertools.permutations([TOPIC_ONE, BOTH_TOPICS, BOTH_TOPICS]):
        claims = []
        for number, filters in enumerate(order):
            claims.append(start_claim(managers[number], f"agent {number}", filters))
            await until_places(fleet, number + 1)
        tasks = [Task(topic=topic, priority=9 if topic == better else 0) for topic in ("one", "two", "one")]
        if better is None:
            for task in tasks:
                await submitter.submit(task)
        else:
            await submitter.submit_many(tasks)
        assert sorted(await claimed_ids(*claims)) == sorted(task.id for task in tasks)
        await until_unregistered(fleet, "waiting:")


async def test_a_task_that_is_left_for_a_better_one_wakes_another_claimer(fleet: Fleet) -> None:
    """The other claimer is one that neither of the two tasks has woken."""
    manager, other, submitter = fleet.manager(), fleet.manager(), fleet.manager()
    await subscribe(fleet, manager)
    await submitter.counts()
    listener = ManualListener(fleet, submitter)
    first = start_claim(manager, "first", BOTH_TOPICS)
    await until_places(fleet, 1)
    await listener.register(2, BOTH_TOPICS)  # it is woken, and does not claim
    last = start_claim(other, "last", TOPIC_ONE)
    await until_places(fleet, 3)
    poor, good = Task(topic="one"), Task(topic="two", priority=1)
    await submitter.submit_many([poor, good])  # one script: `poor` wakes "first", `good` wakes the listener
    assert await claimed_ids(first) == [good.id]
    assert await claimed_ids(last) == [poor.id]
    assert listener.messages() == [b"work 2 :two:"]
    await listener.close()


async def test_work_for_an_unknown_claimer_wakes_the_next_one(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    await submitter.counts()
    manual = ManualListener(fleet, submitter)
    await manual.register(1)
    claim = start_claim(manager, "a")
    await until_places(fleet, 2)
    task_id = await submitter.submit(Task())
    assert manual.messages() == [b"work 1 ::"]  # and the claim was not woken
    [(_, place)] = places(fleet)
    listener, _, number = place.partition(b" ")
    unknown = int(number) + 1
    assert fleet.raw.publish("{test:0}:listener:" + listener.decode(), f"work {unknown} ::") == 1
    assert await claimed_ids(claim) == [task_id]
    await manual.close()


async def test_one_script_skips_hundreds_of_dead_claimers(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    claim = start_claim(manager, "a")
    await until_places(fleet, 1)
    [(queue, place)] = places(fleet)
    since = float(str(fleet.raw.zscore(queue, place)))
    for dead in ("deadlistener", "another"):
        fleet.raw.zadd(queue, {f"{dead} {number}": since - 1000 - number for number in range(1, 251)})
        fleet.raw.zadd("{test:0}:listeners", {dead: since})
    task_id = await submitter.submit(Task())
    living, _, _ = place.partition(b" ")
    assert not {other for _, other in places(fleet) if not other.startswith(living)}
    assert await claimed_ids(claim) == [task_id]
    assert b"deadlistener" not in fleet.raw.zrange("{test:0}:listeners", 0, -1)
    await until_unregistered(fleet, *QUEUE_KINDS)


async def test_a_claim_leaves_the_queues_of_the_other_shards(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(shards=3), fleet.manager(shards=3)
    for _ in range(4):
        claims = [start_claim(manager, "a"), start_claim(manager, "b")]
        await until_places(fleet, 6)
        assert {key[:8] for key, _ in places(fleet)} == {"{test:0}", "{test:1}", "{test:2}"}
        task_id = await submitter.submit(Task())
        done, pending = await asyncio.wait(claims, return_when=asyncio.FIRST_COMPLETED, timeout=TIMEOUT)
        assert await claimed_ids(*done) == [task_id]
        await until_places(fleet, 3)
        await submitter.submit(Task())
        await claimed_ids(*pending)
        await until_unregistered(fleet, *QUEUE_KINDS)


async def test_a_woken_claim_takes_as_many_tasks_as_it_asked_for(fleet: Fleet) -> None:
    first, second, submitter = fleet.manager(), fleet.manager(), fleet.manager()
    three = start_claim(first, "three", count=3)
    await until_places(fleet, 1)
    two = start_claim(second, "two", count=2)
    await until_places(fleet, 2)
    ids = await submitter.submit_many(Task() for _ in range(4))  # one script: both find all that is left
    claimed = [await claimed_ids(three), await claimed_ids(two)]
    assert [len(claims) for claims in claimed] in ([3, 1], [2, 2])
    assert sorted(itertools.chain(*claimed)) == sorted(ids)
    await until_unregistered(fleet, "waiting:")


async def test_a_woken_claimer_that_finds_nothing_waits_again(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    claim = start_claim(manager, "a")
    await until_places(fleet, 1)
    for _ in range(3):  # as if other claimers were faster
        [(queue, place)] = places(fleet)
        listener, number = place.decode().split(" ")
        fleet.raw.zrem(queue, place)
        fleet.raw.publish("{test:0}:listener:" + listener, f"work {number} ::")
        await until_places(fleet, 1)
    assert places(fleet) == {(queue, place)}
    task_id = await submitter.submit(Task())
    assert await claimed_ids(claim) == [task_id]


async def test_all_keys_about_listeners_expire(fleet: Fleet) -> None:
    manager, submitter = fleet.manager(), fleet.manager()
    claim = start_claim(manager, "a", (["p", "q"], ["c"], ["s", "t"]))
    await until_places(fleet, 1)
    task_id = await submitter.submit(Task(), delay=1000)
    ending = asyncio.create_task(manager.wait_until_done(task_id, TIMEOUT))
    await until_watched(fleet, task_id)
    keys = listener_keys(fleet)
    assert {name.partition("}:")[2].partition(":")[0] for name in keys} == {
        kind.rstrip(":") for kind in LISTENER_KINDS
    }
    assert len(keys) == 5 + 9  # nine `door:` keys: two pools and none, by two topics and none
    assert all(0 < fleet.raw.ttl(name) <= 300 for name in keys)
    await submitter.cancel_task(task_id)
    await ending
    await submitter.submit(Task())
    await claimed_ids(claim)
