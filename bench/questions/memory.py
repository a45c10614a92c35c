"""How much memory of the server does a task take, pending and finished?"""

import contextlib
import time
from collections.abc import Iterator

from bench.questions.question import Measure, Measured, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Session, fill

TASKS, OF_SLOW = 20000, 3000
SLOW = 10000


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Fill an empty server, look, have a worker do all, and look again."""

    def measure(name: str) -> Measured:
        system = SYSTEMS[name]
        tasks = OF_SLOW if system.pace < SLOW else settings.tasks(TASKS)
        with settings.server() as server, Session(system, server.url) as session:
            fill(session, 0, 1)
            empty = server.used_memory()
            fill(session, 1, tasks)
            pending = (server.used_memory() - empty) / tasks
            with session.workers(1, tasks + 1) as marks:
                marks.wait_all()
                while session.ask("finished") < tasks + 1:
                    time.sleep(0.01)
            time.sleep(0.5)
            return {"pending": pending, "finished": (server.used_memory() - empty) / tasks}

    yield measure


QUESTIONS = (
    Question(
        "memory",
        "Bytes of the server for a task with a payload of 200 bytes",
        [Metric(name, "bytes", more_is_better=False) for name in ("pending", "finished")],
        systems,
        measuring,
        compares=True,
    ),
)
