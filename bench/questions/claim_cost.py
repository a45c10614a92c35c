"""What does a claim cost, with few and with many tasks, lanes, and tasks that the agent may not have?"""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from bench.questions.question import Measure, Measured, Metric, Question, Settings
from converge_redis import RedisStore, Task, TaskManager

CLAIMS = 60
BATCH = 10_000
OF_LANES = 20_000
FEW_TOPICS = ["t3", "t31", "t59", "t87"]

Fill = Callable[[TaskManager], None]


def _submit(manager: TaskManager, number: int, make: Callable[[int], Task]) -> None:
    for start in range(0, number, BATCH):
        manager.submit_many(make(index) for index in range(start, min(start + BATCH, number)))


def _open_task(_index: int) -> Task:
    return Task(inputs={"path": "x.py"}, topic="t0", required_capabilities=["parse"])


def _closed_task(_index: int) -> Task:
    return Task(topic="t0", required_capabilities=["gpu"], priority=10)


def _lane_task(lanes: int, index: int) -> Task:
    return Task(inputs={"path": "x.py"}, topic=f"t{index % lanes}")


def _others(manager: TaskManager) -> None:
    _submit(manager, 1000, _open_task)
    _submit(manager, 100_000, _closed_task)


def _pending(number: int) -> Fill:
    return partial(_submit, number=number, make=_open_task)


def _lanes(number: int) -> Fill:
    def fill(manager: TaskManager) -> None:
        _submit(manager, OF_LANES, partial(_lane_task, number))
        for topic in FEW_TOPICS:
            _submit(manager, CLAIMS, lambda _index: Task(inputs={"path": "x.py"}, topic=topic))  # noqa: B023

    return fill


CASES: dict[str, tuple[Fill, list[str]]] = {
    "1,000 pending": (_pending(1000), ["t0"]),
    "100,000 pending": (_pending(100_000), ["t0"]),
    "1,000,000 pending": (_pending(1_000_000), ["t0"]),
    "100,000 of others before 1,000": (_others, ["t0"]),
    "1 lane": (partial(_submit, number=OF_LANES, make=partial(_lane_task, 1)), ["t0"]),
    "100 lanes, 4 of them the agent's": (_lanes(100), FEW_TOPICS),
    "10,000 lanes, 4 of them the agent's": (_lanes(10_000), FEW_TOPICS),
}
LARGE = "1,000,000 pending"


def cases(settings: Settings) -> list[str]:
    """All of them; a first look does without the large one."""
    return [name for name in CASES if not (settings.quick and name == LARGE)]


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Fill a namespace for each case, on one server; what is claimed is put back."""
    with settings.server() as server, contextlib.ExitStack() as stack:
        managers: dict[str, TaskManager] = {}
        for name in cases(settings):
            store = stack.enter_context(RedisStore.from_url(server.url, namespace=name))
            managers[name] = TaskManager(store)
            CASES[name][0](managers[name])

        def measure(name: str) -> Measured:
            manager, topics = managers[name], CASES[name][1]
            seconds, claimed = [], []
            for _ in range(CLAIMS):
                begun = time.perf_counter()
                claimed += manager.claim_next("agent", capabilities=["parse"], topics=topics)
                seconds.append(time.perf_counter() - begun)
            assert len(claimed) == CLAIMS
            for task in claimed:
                manager.release("agent", task.id)
            return {"a claim": statistics.median(seconds) * 1e6}

        yield measure


QUESTIONS = (
    Question(
        "claim_cost",
        "A claim, with few and many tasks pending, lanes, and tasks that the agent may not have",
        [Metric("a claim", "µs", more_is_better=False)],
        cases,
        measuring,
    ),
)
