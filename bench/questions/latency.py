"""The latency from submit to result with one worker process."""

import contextlib
import threading
import time
from collections.abc import Iterator

from bench.questions.question import Measure, Measurement, Metric, Question, Settings, systems
from bench.systems.peers import SYSTEMS
from bench.systems.session import Marks, Session, fill

WARM_UP = 50
BURST_SECONDS = 0.02
FIRST_LOAD_TASK, MAX_TASKS = 100_000, 2_000_000


def quantiles(seconds: list[float]) -> Measurement:
    """Return the median and the 99th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return {
        "p50": ordered[len(ordered) // 2] * 1e3,
        "p99": ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] * 1e3,
    }


@contextlib.contextmanager
def idle(settings: Settings) -> Iterator[Measure]:
    """Measure an otherwise idle worker."""

    def measure(name: str) -> Measurement:
        calls = settings.tasks(SYSTEMS[name].calls)
        with (
            settings.server() as server,
            Session(SYSTEMS[name], server.url) as session,
            session.workers(1, calls + WARM_UP + 1) as marks,
        ):
            _warm_up(session, marks)
            return quantiles(session.call("latencies", first=WARM_UP + 1, count=calls, pause=0.0))

    yield measure


@contextlib.contextmanager
def half_load(settings: Settings) -> Iterator[Measure]:
    """Measure while a second process submits half as many tasks as the worker can handle."""

    def measure(name: str) -> Measurement:
        system = SYSTEMS[name]
        calls = settings.tasks(system.calls)
        stopped = threading.Event()
        with (
            settings.server() as server,
            Session(system, server.url) as session,
            Session(system, server.url) as second,
            session.workers(1, MAX_TASKS) as marks,
        ):
            loading = threading.Thread(target=_load, args=(second, system.pace / 2, stopped))
            _warm_up(session, marks)
            loading.start()
            try:
                return quantiles(session.call("latencies", first=WARM_UP + 1, count=calls, pause=0.002))
            finally:
                stopped.set()
                loading.join()

    yield measure


def _warm_up(session: Session, marks: Marks) -> None:
    """Wait until the worker handles tasks: at its start SAQ's worker drops tasks that it has just taken."""
    fill(session, 0, 1)
    marks.wait_first()
    session.call("latencies", first=1, count=WARM_UP, pause=0.0)


def _load(session: Session, rate: float, stopped: threading.Event) -> None:
    """Submit tasks in bursts at a rate, or as many as possible if that is too fast."""
    began, sent = time.monotonic(), 0
    while not stopped.wait(BURST_SECONDS):
        due = int((time.monotonic() - began) * rate) - sent
        count = min(due, int(rate * BURST_SECONDS * 2), MAX_TASKS - FIRST_LOAD_TASK - sent)
        if count > 0:
            fill(session, FIRST_LOAD_TASK + sent, count)
            sent += count


_METRICS = [
    Metric("p50", "ms", higher_is_better=False, digits=2),
    Metric("p99", "ms", higher_is_better=False, digits=2),
]
QUESTIONS = (
    Question(
        "latency",
        "From submit to result, one task after the other",
        _METRICS,
        systems,
        idle,
        base="ours, asyncio",
        compares=True,
    ),
    Question(
        "latency_half_load",
        "The same while a second process submits half as many tasks as one worker can handle",
        _METRICS,
        systems,
        half_load,
        base="ours, asyncio",
        compares=True,
    ),
)
