"""The cost of a claim with few and many pending tasks, lanes, and tasks that the agent cannot claim."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.questions.question import Measure, Measurement, Metric, Question, Settings
from converge_redis import RedisStore, Task, TaskManager

CLAIMS = 60
BATCH = 10_000
TASKS_IN_LANES = 20_000
FEW_TOPICS = ["t3", "t31", "t59", "t87"]

Fill = Callable[[TaskManager], None]


def _submit(manager: TaskManager, number: int, make: Callable[[int], Task]) -> None:
    for start in range(0, number, BATCH):
        manager.submit_many(make(index) for index in range(start, min(start + BATCH, number)))


def _claimable_task(_index: int) -> Task:
    return Task(inputs={"path": "x.py"}, topic="t0", required_capabilities=["parse"])


def _unclaimable_task(_index: int) -> Task:
    return Task(topic="t0", required_capabilities=["gpu"], priority=10)


def _lane_task(lanes: int, index: int) -> Task:
    return Task(inputs={"path": "x.py"}, topic=f"t{index % lanes}")


def _unclaimable_first(manager: TaskManager) -> None:
    _submit(manager, 1000, _claimable_task)
    _submit(manager, 100_000, _unclaimable_task)


def _pending(number: int) -> Fill:
    return partial(_submit, number=number, make=_claimable_task)


def _lanes(number: int) -> Fill:
    def fill(manager: TaskManager) -> None:
        _submit(manager, TASKS_IN_LANES, partial(_lane_task, number))
        for topic in FEW_TOPICS:
            _submit(manager, CLAIMS, lambda _index: Task(inputs={"path": "x.py"}, topic=topic))  # noqa: B023

    return fill


CASES: dict[str, tuple[Fill, list[str]]] = {
    "1,000 pending": (_pending(1000), ["t0"]),
    "100,000 pending": (_pending(100_000), ["t0"]),
    "1,000,000 pending": (_pending(1_000_000), ["t0"]),
    "1,000 behind 100,000 unclaimable": (_unclaimable_first, ["t0"]),
    "1 lane": (partial(_submit, number=TASKS_IN_LANES, make=partial(_lane_task, 1)), ["t0"]),
    "100 lanes, 4 of the agent": (_lanes(100), FEW_TOPICS),
    "10,000 lanes, 4 of the agent": (_lanes(10_000), FEW_TOPICS),
}
LARGE = "1,000,000 pending"


def cases(settings: Settings) -> list[str]:
    """Return the cases; a quick run omits the largest."""
    return [name for name in CASES if not (settings.quick and name == LARGE)]


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Fill a namespace for each case on one server; measured claims are released."""
    with settings.server() as server, contextlib.ExitStack() as stack:
        managers: dict[str, TaskManager] = {}
        for name in cases(settings):
            store = stack.enter_context(RedisStore.from_url(server.url, namespace=name))
            managers[name] = TaskManager(store)
            CASES[name][0](managers[name])

        def measure(name: str) -> Measurement:
            manager, topics = managers[name], CASES[name][1]
            seconds, claimed = [], []
            for _ in range(CLAIMS):
                started = time.perf_counter()
                claimed += manager.claim_next("agent", capabilities=["parse"], topics=topics)
                seconds.append(time.perf_counter() - started)
            assert len(claimed) == CLAIMS
            for task in claimed:
                manager.release("agent", task.id)
            return {"a claim": statistics.median(seconds) * 1e6}

        yield measure


QUESTIONS = (
    Question(
        "claim_cost",
        "A claim with few and many pending tasks, lanes, and tasks that the agent cannot claim",
        [Metric("a claim", "µs", higher_is_better=False)],
        cases,
        measuring,
    ),
)
