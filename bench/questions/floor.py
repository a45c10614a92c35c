"""The cost of a submit compared with the lower bound of a script call.

The lower bound is redis-py's ``evalsha`` of an empty script. When client and server share one CPU, only their
CPU time counts; on two CPUs, the time to wake the other process counts too.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from bench.questions.question import Measure, Measurement, Metric, Question, Server, Settings
from converge_redis import RedisStore, Task, TaskManager

CALLS = 20000
BARE, PREPARED, OURS = "bare EVALSHA", "submit of a task", "submit, with the creation of the task"
INPUTS = {"number": 1, "text": "x" * 180}


@contextlib.contextmanager
def measuring(cpus: set[int], settings: Settings) -> Iterator[Measure]:
    """Restrict client and server to some CPUs."""
    count = settings.tasks(CALLS)
    allowed = os.sched_getaffinity(0)

    def measure(name: str) -> Measurement:
        with settings.server() as server:
            server.pin(*cpus)
            os.sched_setaffinity(0, cpus)
            try:
                return {"rate": count / _seconds(name, server, count)}
            finally:
                os.sched_setaffinity(0, allowed)

    yield measure


def _seconds(name: str, server: Server, count: int) -> float:
    with RedisStore.from_url(server.url) as store:
        client: Any = server.client
        manager, sha = TaskManager(store), client.script_load("return 1")
        tasks = [Task(inputs=INPUTS) for _ in range(count)]
        calls: dict[str, Callable[[int], object]] = {
            BARE: lambda _: client.evalsha(sha, 1, "key", "argument"),
            PREPARED: lambda index: manager.submit(tasks[index]),
            OURS: lambda _: manager.submit(Task(inputs=INPUTS)),
        }
        call = calls[name]
        client.evalsha(sha, 1, "key", "argument")
        manager.submit(Task())
        started = time.perf_counter()
        for index in range(count):
            call(index)
        return time.perf_counter() - started


def _question(name: str, where: str, cpus: set[int]) -> Question:
    return Question(
        name,
        f"Calls one by one by a blocking client, {where}",
        [Metric("rate", "calls/s")],
        lambda _settings: (BARE, PREPARED, OURS),
        partial(measuring, cpus),
        base=BARE,
    )


QUESTIONS = (
    _question("floor", "client and server on one CPU", {0}),
    _question("floor_two_cpus", "client and server on two CPUs", {0, 1}),
)
