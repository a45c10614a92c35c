"""A submitter: brings tasks in, at a steady pace, and again where it was not told that they are stored."""

import time
from collections.abc import Generator, Iterator, Sequence
from random import Random
from typing import Any

from chaos.acts import Act, Pause, Program, act
from converge_redis import Task
from converge_redis.errors import ConvergeError

LEASES = (1.0, 1.3, 2.0)
TOPICS = (None, None, "a", "b")

Procedure = Generator[Act | Pause, Any, bool]


class Submitter:
    """One submitter's program.

    Args:
        name: Its name; its tasks are called ``<name>-000000`` and so on.
        random: What decides what it does.
        tasks: How many tasks it submits.
        seconds: How long it takes if nothing comes in between.
        together: The most tasks that it submits together; 1: it uses ``submit``.
        leases: The lengths that leases may have.
    """

    def __init__(
        self,
        name: str,
        random: Random,
        tasks: int,
        seconds: float,
        together: int,
        leases: Sequence[float] = LEASES,
    ) -> None:
        self._name = name
        self._random = random
        self._tasks = tasks
        self._pace = seconds / tasks
        self._together = together
        self._leases = leases

    def program(self) -> Program:
        """Submit all tasks."""
        began = time.monotonic()
        for first, tasks in self._parts():
            ahead = began + first * self._pace - time.monotonic()
            if ahead > 0.005:
                yield Pause(ahead)
            stored = yield from self._submit(tasks)
            if stored and self._random.random() < 0.01 * len(tasks):
                yield Pause(self._random.expovariate(50))
                yield from self._cancel(self._random.choice(tasks).id)

    def _parts(self) -> Iterator[tuple[int, list[Task]]]:
        first = 0
        while first < self._tasks:
            size = min(self._random.randint(1, self._together), self._tasks - first)
            yield first, [self._task(number) for number in range(first, first + size)]
            first += size

    def _task(self, number: int) -> Task:
        return Task(
            id=f"{self._name}-{number:06d}",
            topic=self._random.choice(TOPICS),
            priority=self._random.choice((0, 0, 0, 5)),
            constraints={"claim_ttl_sec": self._random.choice(self._leases)},
        )

    def _submit(self, tasks: list[Task]) -> Procedure:
        """Submit tasks until it is told that they are stored; seldom, leave it open."""
        recorded: dict[str, Any] = {
            "tasks": [(task.id, task.constraints["claim_ttl_sec"]) for task in tasks],
        }
        if self._together == 1:
            recorded["delay"] = delay = self._random.choice((0.0,) * 9 + (0.2,))
            todo = Act("submit", {"task": tasks[0], "delay": delay}, recorded)
        else:
            todo = Act("submit_many", {"tasks": tasks}, recorded)
        while True:
            try:
                yield todo
            except ConvergeError:
                if self._random.random() < 0.02:
                    return False
                yield Pause(self._random.uniform(0.05, 0.3))
            else:
                return True

    def _cancel(self, task_id: str) -> Program:
        try:
            yield act("cancel_task", task_id=task_id)
        except ConvergeError:
            return
