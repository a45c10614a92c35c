"""How long from submitting a task to having its result, with one worker process?"""

import contextlib
import threading
import time
from collections.abc import Iterator

from bench.questions.question import Measure, Measured, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Marks, Session, fill

WARM_UP = 50
BURST_SECONDS = 0.02
FIRST_OF_LOAD, MOST_TASKS = 100_000, 2_000_000


def quantiles(seconds: list[float]) -> Measured:
    """Return the median and the 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return {
        "p50": ordered[len(ordered) // 2] * 1e3,
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3,
    }


@contextlib.contextmanager
def idle(settings: Settings) -> Iterator[Measure]:
    """The worker has nothing else to do."""

    def measure(name: str) -> Measured:
        calls = settings.tasks(SYSTEMS[name].calls)
        with (
            settings.server() as server,
            Session(SYSTEMS[name], server.url) as session,
            session.workers(1, calls + WARM_UP + 1) as marks,
        ):
            _warm_up(session, marks)
            return quantiles(session.ask("latencies", first=WARM_UP + 1, count=calls, pause=0.0))

    yield measure


@contextlib.contextmanager
def half_load(settings: Settings) -> Iterator[Measure]:
    """A second process submits half as many tasks as the worker can do."""

    def measure(name: str) -> Measured:
        system = SYSTEMS[name]
        calls = settings.tasks(system.calls)
        over = threading.Event()
        with (
            settings.server() as server,
            Session(system, server.url) as session,
            Session(system, server.url) as second,
            session.workers(1, MOST_TASKS) as marks,
        ):
            loading = threading.Thread(target=_load, args=(second, system.pace / 2, over))
            _warm_up(session, marks)
            loading.start()
            try:
                return quantiles(session.ask("latencies", first=WARM_UP + 1, count=calls, pause=0.002))
            finally:
                over.set()
                loading.join()

    yield measure


def _warm_up(session: Session, marks: Marks) -> None:
    """Wait until the worker works: SAQ's, when it starts, drops tasks that it is about to begin with."""
    fill(session, 0, 1)
    marks.wait_first()
    session.ask("latencies", first=1, count=WARM_UP, pause=0.0)


def _load(session: Session, rate: float, over: threading.Event) -> None:
    """Submit tasks at a rate, in bursts; where that cannot be kept up, as many as can be."""
    began, sent = time.monotonic(), 0
    while not over.wait(BURST_SECONDS):
        due = int((time.monotonic() - began) * rate) - sent
        count = min(due, int(rate * BURST_SECONDS * 2), MOST_TASKS - FIRST_OF_LOAD - sent)
        if count > 0:
            fill(session, FIRST_OF_LOAD + sent, count)
            sent += count


_METRICS = [
    Metric("p50", "ms", more_is_better=False, digits=2),
    Metric("p99", "ms", more_is_better=False, digits=2),
]
QUESTIONS = (
    Question(
        "latency",
        "From submit to the result, one task after the other",
        _METRICS,
        systems,
        idle,
        base="ours, asyncio",
        compares=True,
    ),
    Question(
        "latency_half_load",
        "The same while a second process submits half as many tasks as one worker can do",
        _METRICS,
        systems,
        half_load,
        base="ours, asyncio",
        compares=True,
    ),
)
