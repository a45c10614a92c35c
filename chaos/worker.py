"""A worker: claims tasks and does with them all that good and bad agents do."""

import os
from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any, Literal

from chaos.acts import Act, Pause, Program, act
from converge_redis import Task
from converge_redis.errors import ConvergeError

CRASHED = 70
"""The exit code of a worker that ended in the middle of its work."""

Habit = Literal["work", "twice", "long", "sleepy", "release", "fail", "abandon", "cancel", "crash"]

HABITS: dict[Habit, float] = {
    "work": 86.0,  # reports
    "twice": 4.0,  # reports, again, and then another result
    "long": 1.0,  # works for longer than the lease, and extends it
    "sleepy": 1.0,  # works for longer than the lease, and reports all the same
    "release": 3.0,
    "fail": 2.0,
    "abandon": 1.5,
    "cancel": 1.0,  # cancels, and reports all the same
    "crash": 0.05,
}
"""What a worker does with a task, by how often."""

Procedure = Generator[Act | Pause, Any, None]


class Worker:
    """One agent's program.

    Args:
        agent: Its id.
        random: What decides what it does.
        stopped: Tells whether to claim no more.
        topics: The topics that it takes; None: all.
        habits: What it does with tasks, by how often.
    """

    def __init__(
        self,
        agent: str,
        random: Random,
        stopped: Callable[[], bool],
        topics: Sequence[str] | None = None,
        habits: dict[Habit, float] = HABITS,
    ) -> None:
        self._agent = agent
        self._random = random
        self._stopped = stopped
        self._topics = topics
        self._habits = habits
        self._results = 0
        self._lost: list[Task] = []  # claims that this agent may have lost

    def program(self) -> Program:
        """Claim and work until stopped."""
        while not self._stopped():
            count, wait = self._random.choice((1, 1, 1, 2, 4)), self._random.uniform(0.05, 2.0)
            try:
                tasks = yield act(
                    "claim_next", agent_id=self._agent, topics=self._topics, count=count, wait=wait
                )
            except ConvergeError:
                yield Pause(self._random.uniform(0.01, 0.2))
                continue
            for task in tasks:
                yield from self._treat(task)
            if self._lost and self._random.random() < 0.1:
                yield from self._try(self._report(self._lost.pop()))

    def _treat(self, task: Task) -> Procedure:
        habit = self._random.choices([*self._habits], [*self._habits.values()])[0]
        lease = float(task.constraints["claim_ttl_sec"])
        yield Pause(self._random.expovariate(200))
        match habit:
            case "work":
                if self._random.random() < 0.15:
                    yield from self._try(self._hold("extend_claim", task))
                yield from self._try(self._report(task), again=0.8)
            case "twice":
                report = self._report(task)
                yield from self._try(report)
                yield from self._try(report)
                yield from self._try(self._report(task))
            case "long":
                for _ in range(self._random.choice((3, 5, 7))):
                    yield Pause(lease / 3)
                    yield from self._try(self._hold("extend_claim", task))
                yield from self._try(self._report(task), again=0.8)
            case "sleepy":
                yield Pause(lease * self._random.uniform(0.9, 1.4))
                yield from self._try(self._report(task))
            case "release":
                delay = self._random.choice((0.0, 0.0, 0.1, 0.5))
                yield from self._try(self._hold("release", task, delay=delay), again=0.5)
                self._lost.append(task)
            case "fail":
                yield from self._try(self._hold("fail_task", task, reason=self._result(task)), again=0.5)
                self._lost.append(task)
            case "abandon":
                self._lost.append(task)
            case "cancel":
                yield from self._try(act("cancel_task", task_id=task.id), again=0.5)
                yield from self._try(self._report(task))
            case "crash":
                os._exit(CRASHED)

    def _try(self, todo: Act, again: float = 0.0) -> Procedure:
        """Do something whatever comes of it; perhaps make the same call again where nobody knows."""
        try:
            yield todo
        except ConvergeError as error:
            if isinstance(error, ConnectionError) and self._random.random() < again:
                yield Pause(self._random.uniform(0.01, 0.3))
                yield from self._try(todo, again)

    def _hold(self, verb: str, task: Task, **more: Any) -> Act:
        return act(verb, agent_id=self._agent, task_id=task.id, claim_token=task.claim_token, **more)

    def _report(self, task: Task) -> Act:
        return self._hold("report", task, result=self._result(task))

    def _result(self, task: Task) -> str:
        """Return a result that nobody else reports."""
        self._results += 1
        return f"{self._agent}/{task.claim_token}/{self._results}"
