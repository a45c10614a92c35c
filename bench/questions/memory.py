"""The server memory per pending and finished task."""

import contextlib
import time
from collections.abc import Iterator

from bench.questions.question import Measure, Measurement, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Session, fill

TASKS, TASKS_OF_SLOW_SYSTEMS = 20000, 3000
SLOW_PACE = 10000


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Measure the memory after tasks are submitted, and after a worker has finished them."""

    def measure(name: str) -> Measurement:
        system = SYSTEMS[name]
        tasks = TASKS_OF_SLOW_SYSTEMS if system.pace < SLOW_PACE else settings.tasks(TASKS)
        with settings.server() as server, Session(system, server.url) as session:
            fill(session, 0, 1)
            empty = server.used_memory()
            fill(session, 1, tasks)
            pending = (server.used_memory() - empty) / tasks
            with session.workers(1, tasks + 1) as marks:
                marks.wait_all()
                while session.call("finished") < tasks + 1:
                    time.sleep(0.01)
            time.sleep(0.5)
            return {"pending": pending, "finished": (server.used_memory() - empty) / tasks}

    yield measure


QUESTIONS = (
    Question(
        "memory",
        "Server memory per task with a payload of 200 bytes",
        [Metric(name, "bytes", higher_is_better=False) for name in ("pending", "finished")],
        systems,
        measuring,
        compares=True,
    ),
)
