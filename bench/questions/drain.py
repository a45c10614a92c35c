"""The throughput of worker processes on a full queue.

Each task is claimed, handled by a function that only marks it, and its result is stored.
"""

import contextlib
import os
import time
from collections.abc import Iterator
from functools import partial

from bench.machine import busy_seconds
from bench.questions.question import Measure, Measurement, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Session, SystemFailedError, fill

SECONDS = 2.5
SETTLE_SECONDS = 0.5
"""The first half second is not measured, since the processes do not start at the same time."""

MAX_RECORD_SECONDS = 30.0
PARALLEL = 1.5
"""The factor by which several processes need more tasks than one."""


def tasks_for(name: str, processes: int, settings: Settings) -> int:
    """Return the number of tasks for a measurement."""
    scale = PARALLEL if processes > 1 else 1.0
    return settings.tasks(int(SYSTEMS[name].pace * SECONDS * scale))


@contextlib.contextmanager
def draining(processes: int, settings: Settings) -> Iterator[Measure]:
    """Fill a queue, start workers, and watch their marks."""

    def measure(name: str) -> Measurement:
        tasks = tasks_for(name, processes, settings)
        with settings.server() as server, Session(SYSTEMS[name], server.url) as session:
            fill(session, 0, tasks)
            with session.workers(processes, tasks) as marks:
                marks.wait_first()
                time.sleep(SETTLE_SECONDS / (4 if settings.quick else 1))
                handled, began, cpu = marks.handled(), time.perf_counter(), server.cpu_seconds()
                busy = busy_seconds()
                if handled == tasks:
                    raise SystemFailedError(
                        f"{name} finished all tasks before the measurement began: too few tasks"
                    )
                marks.wait_all()
                finished = session.call("finished")
                deadline = time.monotonic() + MAX_RECORD_SECONDS
                while finished != tasks and time.monotonic() < deadline:  # some systems count with SCAN
                    finished = session.call("finished")
                took = time.perf_counter() - began
                if finished != tasks:
                    raise SystemFailedError(f"{name} has {finished} records of {tasks} tasks")
                return {
                    "rate": (tasks - handled) / took,
                    "server CPU": 100 * (server.cpu_seconds() - cpu) / took,
                    "all CPUs": 100 * (busy_seconds() - busy) / took / len(os.sched_getaffinity(0)),
                }

    yield measure


def _question(processes: int) -> Question:
    plural = "es" if processes > 1 else ""
    return Question(
        f"drain_{processes}",
        f"Tasks done by {processes} worker process{plural}, each with its result stored",
        [
            Metric("rate", "tasks/s"),
            Metric("server CPU", "%", higher_is_better=False, has_ratio=False),
            Metric("all CPUs", "%", higher_is_better=False, has_ratio=False),
        ],
        systems,
        partial(draining, processes),
        compares=True,
    )


QUESTIONS = tuple(_question(processes) for processes in (1, 2, 4))
