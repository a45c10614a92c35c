"""How many tasks a second does one process submit, one by one and in bulk?"""

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.questions.question import Measure, Measured, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Session

ONE_BY_ONE, WARM_UP = 8000, 200


@contextlib.contextmanager
def one_by_one(pinned: bool, settings: Settings) -> Iterator[Measure]:
    """Each task is acknowledged before the next is sent."""
    count = settings.tasks(ONE_BY_ONE)

    def measure(name: str) -> Measured:
        with (
            settings.server() as server,
            Session(SYSTEMS[name], server.url, 0 if pinned else None) as session,
        ):
            if pinned:
                server.pin(0)
            session.ask("submit", first=0, count=WARM_UP)
            return {"rate": count / session.ask("submit", first=WARM_UP, count=count)}

    yield measure


@contextlib.contextmanager
def in_bulk(settings: Settings) -> Iterator[Measure]:
    """By what the system has for many; without it, there is no number."""

    def measure(name: str) -> Measured:
        count = settings.tasks(SYSTEMS[name].pace)
        with settings.server() as server, Session(SYSTEMS[name], server.url) as session:
            if session.ask("submit_bulk", first=0, count=WARM_UP) is None:
                return {}
            return {"rate": count / session.ask("submit_bulk", first=WARM_UP, count=count)}

    yield measure


QUESTIONS = (
    Question(
        "submit",
        "Tasks submitted one by one, each acknowledged by the server before the next",
        [Metric("rate", "tasks/s")],
        systems,
        partial(one_by_one, False),
        compares=True,
    ),
    Question(
        "submit_pinned",
        "The same with client and server on one CPU: the work alone, without waiting for the other to wake",
        [Metric("rate", "tasks/s")],
        systems,
        partial(one_by_one, True),
        compares=True,
    ),
    Question(
        "submit_bulk",
        "Tasks submitted by what the system has for many",
        [Metric("rate", "tasks/s")],
        systems,
        in_bulk,
        compares=True,
    ),
)
