"""Processes that claim the same tasks at the same time: each task is claimed once."""

import functools
from collections.abc import Iterator

import pytest

from bench.checks.claim_race import race_for_one
from converge_redis import RedisStore, Task, TaskManager
from tests.support.backends import Backend
from tests.support.processes import ProcessGroup, process_group

PROCESSES = 4
TASKS = 1000
ROUNDS = 100


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessGroup]:
    with process_group(PROCESSES) as group:
        yield group


@functools.cache
def manager_of(url: str) -> TaskManager:
    """Return this process's manager; it stays connected between calls."""
    return TaskManager(RedisStore.from_url(url, "race"))


def claim_all(number: int, url: str) -> list[str]:
    """Claim and report tasks until none is left; return their ids."""
    manager, agent_id = manager_of(url), f"agent-{number}"
    ids = []
    while claimed := manager.claim_next(agent_id, count=3):
        for task in claimed:
            assert manager.report(agent_id, task.id, agent_id, claim_token=task.claim_token)
            ids.append(task.id)
    return ids


def claim_one(number: int, url: str, task_id: str) -> bool:
    return manager_of(url).claim(f"agent-{number}", task_id)


def test_each_task_is_claimed_by_one_process(real: Backend, processes: ProcessGroup) -> None:
    with RedisStore.from_url(str(real.url), "race") as store:
        manager = TaskManager(store)
        ids = manager.submit_many(
            Task(priority=number % 5, topic=f"t{number % 7}") for number in range(TASKS)
        )
        claimed = processes.call(claim_all, str(real.url))
        assert sorted(task_id for ids_of_one in claimed for task_id in ids_of_one) == sorted(ids)
        assert manager.counts()["completed"] == TASKS
        assert manager.audit() == []


def test_one_process_wins_each_round(real: Backend, processes: ProcessGroup) -> None:
    with RedisStore.from_url(str(real.url), "race") as store:
        manager = TaskManager(store)
        for _ in range(ROUNDS):
            won = processes.call(claim_one, str(real.url), manager.submit(Task()))
            assert sorted(won) == [False] * (PROCESSES - 1) + [True]
        assert manager.counts()["assigned"] == ROUNDS
        assert manager.audit() == []


def test_the_race_of_the_benchmarks_has_one_winner_each_round() -> None:
    outcome = race_for_one(rounds=20, processes=2)
    assert outcome.winners == [1] * 20
    assert outcome.assigned == 20
    assert outcome.violations == 0
