"""The throughput of submits of one process, one by one and in bulk."""

import contextlib
from collections.abc import Iterator
from functools import partial

from bench.questions.question import Measure, Measurement, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Session

ONE_BY_ONE, WARM_UP = 8000, 200


@contextlib.contextmanager
def one_by_one(pinned: bool, settings: Settings) -> Iterator[Measure]:
    """Measure submits that are each acknowledged before the next is sent."""
    count = settings.tasks(ONE_BY_ONE)

    def measure(name: str) -> Measurement:
        with (
            settings.server() as server,
            Session(SYSTEMS[name], server.url, 0 if pinned else None) as session,
        ):
            if pinned:
                server.pin(0)
            session.call("submit", first=0, count=WARM_UP)
            return {"rate": count / session.call("submit", first=WARM_UP, count=count)}

    yield measure


@contextlib.contextmanager
def in_bulk(settings: Settings) -> Iterator[Measure]:
    """Measure the bulk submit of a system; without one, there is no value."""

    def measure(name: str) -> Measurement:
        count = settings.tasks(SYSTEMS[name].pace)
        with settings.server() as server, Session(SYSTEMS[name], server.url) as session:
            if session.call("submit_bulk", first=0, count=WARM_UP) is None:
                return {}
            return {"rate": count / session.call("submit_bulk", first=WARM_UP, count=count)}

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
        "The same with client and server on one CPU: CPU time only, without the time to wake a process",
        [Metric("rate", "tasks/s")],
        systems,
        partial(one_by_one, True),
        compares=True,
    ),
    Question(
        "submit_bulk",
        "Tasks submitted in bulk",
        [Metric("rate", "tasks/s")],
        systems,
        in_bulk,
        compares=True,
    ),
)
