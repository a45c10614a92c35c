"""A submitter: submits tasks at a steady rate, and retries those that were not acknowledged."""

import time
from collections.abc import Generator, Iterator, Sequence
from random import Random
from typing import Any

from chaos.programs import Pause, Program, Request, request
from converge_redis import Task
from converge_redis.errors import ConvergeError

LEASES = (1.0, 1.3, 2.0)
TOPICS = (None, None, "a", "b")

Procedure = Generator[Request | Pause, Any, bool]


class Submitter:
    """The program of a submitter.

    Args:
        name: Its name; its tasks are ``<name>-000000`` and so on.
        random: Makes its choices.
        tasks: The number of tasks.
        seconds: The seconds over which it submits them, without faults.
        max_batch: The most tasks per call; 1: it uses ``submit``.
        leases: The possible lengths of leases.
    """

    def __init__(
        self,
        name: str,
        random: Random,
        tasks: int,
        seconds: float,
        max_batch: int,
        leases: Sequence[float] = LEASES,
    ) -> None:
        self._name = name
        self._random = random
        self._tasks = tasks
        self._interval = seconds / tasks
        self._max_batch = max_batch
        self._leases = leases

    def program(self) -> Program:
        """Submit all tasks."""
        began = time.monotonic()
        for first, tasks in self._batches():
            ahead = began + first * self._interval - time.monotonic()
            if ahead > 0.005:
                yield Pause(ahead)
            acknowledged = yield from self._submit(tasks)
            if acknowledged and self._random.random() < 0.01 * len(tasks):
                yield Pause(self._random.expovariate(50))
                yield from self._cancel(self._random.choice(tasks).id)

    def _batches(self) -> Iterator[tuple[int, list[Task]]]:
        first = 0
        while first < self._tasks:
            size = min(self._random.randint(1, self._max_batch), self._tasks - first)
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
        """Submit tasks until they are acknowledged; in rare cases give up after an error."""
        recorded: dict[str, Any] = {
            "tasks": [(task.id, task.constraints["claim_ttl_sec"]) for task in tasks],
        }
        if self._max_batch == 1:
            recorded["delay"] = delay = self._random.choice((0.0,) * 9 + (0.2,))
            submit = Request("submit", {"task": tasks[0], "delay": delay}, recorded)
        else:
            submit = Request("submit_many", {"tasks": tasks}, recorded)
        while True:
            try:
                yield submit
            except ConvergeError:
                if self._random.random() < 0.02:
                    return False
                yield Pause(self._random.uniform(0.05, 0.3))
            else:
                return True

    def _cancel(self, task_id: str) -> Program:
        try:
            yield request("cancel_task", task_id=task_id)
        except ConvergeError:
            return
