"""Processes race for tasks on a real server: each is won once."""

import multiprocessing
from multiprocessing.connection import Connection

from bench.checks.claim_race import race_for_one
from converge_redis import RedisStore, Task, TaskManager
from tests.support.backends import Backend

PROCESSES = 8
TASKS = 2000


def work(url: str, agent_id: str, answer: Connection) -> None:
    """Claim and report until there is nothing left; tell what was won."""
    with RedisStore.from_url(url, "race") as store:
        manager = TaskManager(store)
        won = []
        while claimed := manager.claim_next(agent_id, count=3):
            for task in claimed:
                assert manager.report(agent_id, task.id, agent_id, claim_token=task.claim_token)
                won.append(task.id)
        answer.send(won)


def test_every_task_is_won_once(real: Backend) -> None:
    context = multiprocessing.get_context("spawn")
    with RedisStore.from_url(str(real.url), "race") as store:
        manager = TaskManager(store)
        ids = manager.submit_many(
            Task(priority=number % 5, topic=f"t{number % 7}") for number in range(TASKS)
        )
        pipes = [context.Pipe() for _ in range(PROCESSES)]
        processes = [
            context.Process(target=work, args=(real.url, f"agent-{number}", far))
            for number, (_, far) in enumerate(pipes)
        ]
        for process in processes:
            process.start()
        won = [task_id for near, _ in pipes for task_id in near.recv()]
        for process in processes:
            process.join()
        assert sorted(won) == sorted(ids)
        assert manager.counts()["completed"] == TASKS
        assert manager.audit() == []


def test_one_of_eight_wins_each_round() -> None:
    outcome = race_for_one(rounds=100, processes=PROCESSES)
    assert outcome.winners == [1] * 100
    assert outcome.assigned == 100
    assert outcome.violations == 0
