"""A worker: claims tasks and handles them as good and bad agents do."""

import os
from collections.abc import Callable, Generator, Sequence
from random import Random
from typing import Any, Literal

from chaos.programs import Pause, Program, Request, request
from converge_redis import Task
from converge_redis.errors import ConvergeError

CRASH_EXIT_CODE = 70
"""The exit code of a worker that crashed on purpose."""

Behaviour = Literal[
    "report",
    "report twice",
    "extend",
    "overrun",
    "release",
    "fail",
    "abandon",
    "cancel",
    "crash",
]

BEHAVIOURS: dict[Behaviour, float] = {
    "report": 86.0,
    "report twice": 4.0,  # then report another result
    "extend": 1.0,  # work for longer than the lease, and extend the claim
    "overrun": 1.0,  # work for longer than the lease, and report all the same
    "release": 3.0,
    "fail": 2.0,
    "abandon": 1.5,
    "cancel": 1.0,  # then report all the same
    "crash": 0.05,
}
"""The behaviours of a worker by frequency."""

Procedure = Generator[Request | Pause, Any, None]


class Worker:
    """The program of a worker's agent.

    Args:
        agent: Its id.
        random: Makes its choices.
        is_stopped: Returns whether to stop claiming.
        topics: Its topics; None: all.
        behaviours: Its behaviours by frequency.
    """

    def __init__(
        self,
        agent: str,
        random: Random,
        is_stopped: Callable[[], bool],
        topics: Sequence[str] | None = None,
        behaviours: dict[Behaviour, float] = BEHAVIOURS,
    ) -> None:
        self._agent = agent
        self._random = random
        self._is_stopped = is_stopped
        self._topics = topics
        self._behaviours = behaviours
        self._results = 0
        self._lost: list[Task] = []  # tasks whose claims this agent may have lost

    def program(self) -> Program:
        """Claim and handle tasks until stopped."""
        while not self._is_stopped():
            count, wait = self._random.choice((1, 1, 1, 2, 4)), self._random.uniform(0.05, 2.0)
            try:
                tasks = yield request(
                    "claim_next", agent_id=self._agent, topics=self._topics, count=count, wait=wait
                )
            except ConvergeError:
                yield Pause(self._random.uniform(0.01, 0.2))
                continue
            for task in tasks:
                yield from self._handle(task)
            if self._lost and self._random.random() < 0.1:
                yield from self._try(self._report(self._lost.pop()))

    def _handle(self, task: Task) -> Procedure:
        behaviour = self._random.choices([*self._behaviours], [*self._behaviours.values()])[0]
        lease = float(task.constraints["claim_ttl_sec"])
        yield Pause(self._random.expovariate(200))
        match behaviour:
            case "report":
                if self._random.random() < 0.15:
                    yield from self._try(self._as_holder("extend_claim", task))
                yield from self._try(self._report(task), retry=0.8)
            case "report twice":
                report = self._report(task)
                yield from self._try(report)
                yield from self._try(report)
                yield from self._try(self._report(task))
            case "extend":
                for _ in range(self._random.choice((3, 5, 7))):
                    yield Pause(lease / 3)
                    yield from self._try(self._as_holder("extend_claim", task))
                yield from self._try(self._report(task), retry=0.8)
            case "overrun":
                yield Pause(lease * self._random.uniform(0.9, 1.4))
                yield from self._try(self._report(task))
            case "release":
                delay = self._random.choice((0.0, 0.0, 0.1, 0.5))
                yield from self._try(self._as_holder("release", task, delay=delay), retry=0.5)
                self._lost.append(task)
            case "fail":
                reason = self._result(task)
                yield from self._try(self._as_holder("fail_task", task, reason=reason), retry=0.5)
                self._lost.append(task)
            case "abandon":
                self._lost.append(task)
            case "cancel":
                yield from self._try(request("cancel_task", task_id=task.id), retry=0.5)
                yield from self._try(self._report(task))
            case "crash":
                os._exit(CRASH_EXIT_CODE)

    def _try(self, call: Request, retry: float = 0.0) -> Procedure:
        """Make a call and ignore its errors; retry a call without a reply with the given probability."""
        try:
            yield call
        except ConvergeError as error:
            if isinstance(error, ConnectionError) and self._random.random() < retry:
                yield Pause(self._random.uniform(0.01, 0.3))
                yield from self._try(call, retry)

    def _as_holder(self, method: str, task: Task, **more: Any) -> Request:
        return request(method, agent_id=self._agent, task_id=task.id, claim_token=task.claim_token, **more)

    def _report(self, task: Task) -> Request:
        return self._as_holder("report", task, result=self._result(task))

    def _result(self, task: Task) -> str:
        """Return a result that no other report has."""
        self._results += 1
        return f"{self._agent}/{task.claim_token}/{self._results}"
