"""Which tasks an agent may have, and in which order, compared with a predicate in three lines of Python."""

import random
from collections.abc import Sequence
from typing import Any

import pytest

from converge_redis import Task
from converge_redis.core.operation import Operation
from converge_redis.tasks.query import list_pending_tasks
from tests.support.fleet import Fleet
from tests.tasks.support import nonzero_counts

NAMES = [
    "a",
    "b",
    "ab",
    "a:b",
    "a,b",
    ":",
    ",",
    "{}",
    "{test:0}",
    "%",
    "%3A",
    "a%",
    "ü",
    "日本",
    "\n",
    "\0",
    "a\nb",
    " ",
    "-",
    ";",
    ".",
    "~",
    "[",
    "(",
    "+",
    "A",
    "zz",
    "*",
    "?",
]

Names = Sequence[str] | None


def is_visible(task: Task, pools: Names, capabilities: Names, topics: Names) -> bool:
    return (
        (pools is None or task.pool_id is None or task.pool_id in pools)
        and (capabilities is None or set(task.required_capabilities) <= set(capabilities))
        and (topics is None or task.topic is None or task.topic in topics)
    )


def in_claim_order(tasks: list[Task]) -> list[str]:
    return [task.id for task in sorted(tasks, key=lambda task: (-task.priority, task.id.encode()))]


def random_task(rng: random.Random, number: int, names: list[str]) -> Task:
    return Task(
        id=rng.choice([f"{number}", f"é{number}", f"{{}}:{number}", f"Z{number}\n"]),
        pool_id=rng.choice([None, rng.choice(names)]),
        topic=rng.choice([None, rng.choice(names)]),
        required_capabilities=rng.sample(names, rng.choice([0, 0, 1, 2, 3])),
        priority=rng.choice([0, 0, 1, -1, 5, 2**53, -(2**53)]),
    )


def random_filter(rng: random.Random, names: list[str]) -> list[str] | None:
    return rng.choice(
        [None, [], rng.sample(names, 1), rng.sample(names, 3), rng.sample(names, len(names) - 2)]
    )


@pytest.mark.parametrize("seed", range(4))
async def test_lists_and_claims_agree_with_the_predicate(fleet: Fleet, seed: int) -> None:
    rng = random.Random(seed)
    names = rng.sample(NAMES, 4) if seed % 2 else NAMES  # few names: full lanes; many: hundreds of lanes
    manager = fleet.manager()
    pending = {task.id: task for task in (random_task(rng, number, names) for number in range(400))}
    await manager.submit_many(pending.values())
    assert [task.id for task in await manager.list_pending_tasks()] == in_claim_order(list(pending.values()))
    for _ in range(25):
        pools, capabilities, topics = (random_filter(rng, names) for _ in range(3))
        visible = [task for task in pending.values() if is_visible(task, pools, capabilities, topics)]
        expected = in_claim_order(visible)
        listed = await manager.list_pending_tasks_for_agent("x", pools, capabilities, topics)
        assert [task.id for task in listed] == expected
        count = rng.choice([1, 2, 30])
        claimed = await manager.claim_next("x", pools, capabilities, topics, count=count)
        assert [task.id for task in claimed] == expected[:count]
        for task in claimed:
            del pending[task.id]
        if pending:
            task = rng.choice(list(pending.values()))
            reasons = await manager.explain_claim("x", task.id, pools, capabilities, topics)
            assert bool(reasons) is not is_visible(task, pools, capabilities, topics)
    assert (await nonzero_counts(manager)).get("pending", 0) == len(pending)


async def test_every_filter_lists_exactly_the_tasks_that_it_allows(fleet: Fleet) -> None:
    manager = fleet.manager()
    fields: list[dict[str, Any]] = [
        {"pool_id": pool, "topic": topic, "required_capabilities": needed}
        for pool in (None, "p", "q")
        for topic in (None, "p", "t")
        for needed in ([], ["p"], ["p", "t"])
    ]
    tasks = [Task(id=f"{number:02}", **each) for number, each in enumerate(fields)]
    await manager.submit_many(tasks)
    filters: list[list[str] | None] = [None, [], ["p"], ["t"], ["p", "t"], ["t", "p", "p"]]
    for pools in filters:
        for capabilities in filters:
            for topics in filters:
                expected = [task.id for task in tasks if is_visible(task, pools, capabilities, topics)]
                listed = await manager.list_pending_tasks_for_agent("x", pools, capabilities, topics)
                assert [task.id for task in listed] == expected, (pools, capabilities, topics)


async def test_filters_may_be_tuples_and_sets(fleet: Fleet) -> None:
    manager = fleet.manager()
    task_id = await manager.submit(Task(pool_id="p", topic="t", required_capabilities=["c"]))
    listed = await manager.list_pending_tasks_for_agent("x", {"p"}, ("c", "d"), frozenset({"t"}))
    assert [task.id for task in listed] == [task_id]


async def test_tasks_are_ordered_by_priority_then_by_the_bytes_of_the_id(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = ["a", "B", "é", "z", "10", "9", "\uffff", "\U00010000"]
    rng = random.Random(1)
    tasks = [Task(id=f"{name}{priority}", priority=priority) for name in ids for priority in (-1, 0, 2**53)]
    rng.shuffle(tasks)
    for number, task in enumerate(tasks):
        task.topic = [None, "x", "y"][number % 3]
        await manager.submit(task)
    expected = in_claim_order(tasks)
    assert [task.id for task in await manager.list_pending_tasks()] == expected
    one_by_one = [(await manager.claim_next("x"))[0].id for _ in range(10)]
    assert one_by_one + [task.id for task in await manager.claim_next("x", count=1000)] == expected


async def test_default_ids_order_tasks_by_submission(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = [await manager.submit(Task()) for _ in range(30)]
    assert [task.id for task in await manager.claim_next("x", count=30)] == ids


async def test_a_released_task_returns_to_its_place(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many([Task(id="1", priority=1), Task(id="2", priority=1), Task(id="0")])
    (first,) = await manager.claim_next("x")
    assert first.id == "1"
    await manager.release("x", "1")
    assert [task.id for task in await manager.claim_next("x", count=3)] == ["1", "2", "0"]


async def test_lists_and_claims_with_three_shards(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    tasks = [Task(id=f"{number}", priority=number % 5, pool_id=f"p{number % 2}") for number in range(300)]
    await manager.submit_many(tasks)
    assert [task.id for task in await manager.list_pending_tasks()] == in_claim_order(tasks)
    visible = [task for task in tasks if task.pool_id == "p1"]
    listed = await manager.list_pending_tasks_for_agent("x", ["p1"], limit=7)
    assert [task.id for task in listed] == in_claim_order(visible)[:7]
    claimed_ids: list[str] = []
    while claimed := await manager.claim_next("x", ["p1"], count=40):
        claimed_ids += [task.id for task in claimed]
    assert sorted(claimed_ids) == sorted(task.id for task in visible)
    assert [task.id for task in await manager.list_claims("x")] != []
    assert await nonzero_counts(manager) == {"pending": 150, "assigned": 150}
    await manager.submit(Task(id="alone", pool_id="p7"))
    assert [task.id for task in await manager.claim_next("x", ["p7"])] == ["alone"]


# Lists


async def test_a_limit_cuts_a_list_of_several_pages(fleet: Fleet) -> None:
    manager = fleet.manager()
    tasks = [Task(id=f"{number:04}", priority=number % 3, topic=f"t{number % 7}") for number in range(950)]
    await manager.submit_many(tasks)
    expected = in_claim_order(tasks)
    for limit in (None, 1, 199, 200, 201, 600, 950, 2000):
        listed = await manager.list_pending_tasks(limit=limit, refresh_from_store=True)
        assert [task.id for task in listed] == expected[:limit]
        listed = await manager.list_pending_tasks_for_agent("x", sort_by_priority=True, limit=limit)
        assert [task.id for task in listed] == expected[:limit]


async def test_a_lane_of_exactly_one_page_is_listed_completely(fleet: Fleet) -> None:
    manager = fleet.manager()
    tasks = [Task(id=f"{number:04}") for number in range(200)]
    await manager.submit_many(tasks)
    assert len(await manager.list_pending_tasks()) == 200
    await manager.submit(Task(id="zzzz", topic="other"))
    assert len(await manager.list_pending_tasks()) == 201


async def test_claims_between_two_pages_hide_no_task(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit_many(Task(id=f"{number:04}", topic=f"t{number % 2}") for number in range(900))
    steps = list_pending_tasks(fleet.namespaces["test"])
    request: Any = next(steps)
    pages: list[list[str]] = []
    listed: list[Task] | None = None
    while listed is None:
        assert isinstance(request, Operation)
        outcome = await fleet.run(manager, request)
        if isinstance(outcome, tuple):  # a page; the first request is a sweep
            pages.append([task.id for task in outcome[1]])
        if len(pages) == 1:  # claim tasks of the first page, and one of a later page
            for task_id in (*pages[0][:60], "0897"):
                assert await manager.claim("x", task_id)
            await manager.submit(Task(id="0001a", topic="t1"))
        try:
            request = steps.send(outcome)
        except StopIteration as stop:
            listed = stop.value
    assert len(pages) > 2
    ids = [task.id for task in listed]
    assert ids == sorted(task_id for page in pages for task_id in page)
    assert len(ids) == len(set(ids))
    everything = {f"{number:04}" for number in range(900)} | {"0001a"}
    assert everything - {*ids} == {"0897"}


async def test_without_tasks_lists_and_counts_are_empty(fleet: Fleet) -> None:
    manager = fleet.manager()
    assert await manager.list_pending_tasks() == []
    assert await manager.list_pending_tasks_for_agent("x", [], [], []) == []
    assert await manager.claim_next("x", [], [], [], count=1000) == []
    assert await manager.list_claims("x") == []
    assert await manager.get_tasks([]) == []
    assert await nonzero_counts(manager) == {}
    assert (await manager.counts()).keys() == {
        "pending",
        "delayed",
        "assigned",
        "running",
        "completed",
        "failed",
        "cancelled",
    }
    await manager.refresh_from_store()


async def test_get_tasks_returns_one_entry_for_each_id_in_their_order(fleet: Fleet) -> None:
    manager = fleet.manager(shards=3)
    await manager.submit_many(Task(id=f"{number}") for number in range(450))
    wanted = [f"{number}" for number in range(470)] + ["3", "3"]
    found = await manager.get_tasks(wanted)
    assert [task.id if task else None for task in found] == [
        *(f"{number}" for number in range(450)),
        *[None] * 20,
        "3",
        "3",
    ]


async def test_list_claims_returns_the_oldest_first(fleet: Fleet) -> None:
    manager = fleet.manager(shards=2)
    ids = [f"{number}" for number in (5, 3, 9, 1)]
    await manager.submit_many(Task(id=task_id) for task_id in ids)
    for task_id in ids:
        await manager.claim("x", task_id)
    await manager.claim_next("y")
    await manager.start("x", "9")
    assert [(task.id, task.state) for task in await manager.list_claims("x")] == [
        ("5", "assigned"),
        ("3", "assigned"),
        ("9", "running"),
        ("1", "assigned"),
    ]


async def test_list_claims_returns_tasks_that_were_claimed_together(fleet: Fleet) -> None:
    manager = fleet.manager()
    ids = await manager.submit_many(Task() for _ in range(650))
    for count in (1, 450, 199):
        await manager.claim_next("a", count=count)
    claimed = await manager.list_claims("a")
    assert sorted(task.id for task in claimed) == sorted(ids)
    tokens = [task.claim_token or 0 for task in claimed]
    assert tokens == sorted(tokens)


async def test_explain_claim_names_every_reason(fleet: Fleet) -> None:
    manager = fleet.manager()
    await manager.submit(Task(id="t", pool_id="p", topic="o", required_capabilities=["c", "d"]))
    await manager.claim("holder", "t")
    reasons = await manager.explain_claim("x", "t", ["q"], ["d"], [])
    assert [reason.partition(":")[0] for reason in reasons] == ["state", "pool", "topic", "capabilities"]
    assert "'holder'" in reasons[0]
    assert "'p'" in reasons[1]
    assert "'o'" in reasons[2]
    assert "'c'" in reasons[3]
    assert "'d'" not in reasons[3]
    await manager.release("holder", "t")
    assert await manager.explain_claim("x", "t", ["p"], ["c", "d"], ["o"]) == []
    assert await manager.explain_claim("x", "t") == []


async def test_namespaces_are_separate(fleet: Fleet) -> None:
    names = ["one", "one:0", "{one}", "one}:0", "o*", "ü"]
    managers = [fleet.manager(name) for name in names]
    for number, manager in enumerate(managers):
        await manager.submit_many(Task(id="same", objective=name) for name in names[number : number + 1])
    for name, manager in zip(names, managers, strict=True):
        (task,) = await manager.list_pending_tasks()
        assert task.objective == name
        assert await manager.claim("x", "same")
        assert await nonzero_counts(manager) == {"assigned": 1}
        assert await manager.audit() == []
