"""The cost of lists, counts and cached values."""

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

from bench.questions.question import Measure, Measurement, Metric, Question, Settings
from converge_redis import NearCache, RedisStore, SharedCache, Task, TaskManager

CALLS = 200
CLAIMED, LIMIT, TOPICS = 50, 100, 100
FEW, MANY = 1000, 100_000
BATCH = 10_000
VALUE = {"text": "x" * 190}
HITS = 2000
CACHE = ("get", "get, near cache", "get_or_compute, hit", "put")
LISTS: dict[str, Callable[[TaskManager], object]] = {
    "list_pending_tasks": lambda manager: manager.list_pending_tasks(limit=LIMIT),
    "list_pending_tasks_for_agent": lambda manager: manager.list_pending_tasks_for_agent(
        "agent", topics=["t1", "t2"], limit=LIMIT
    ),
    "list_claims": lambda manager: manager.list_claims("agent"),
    "counts": lambda manager: manager.counts(),
}


def cases(_settings: Settings) -> list[str]:
    """Return the cases: each list among few and many pending tasks."""
    return [f"{name}, {number:,} pending" for name in LISTS for number in (FEW, MANY)]


@contextlib.contextmanager
def listing(settings: Settings) -> Iterator[Measure]:
    """Fill two namespaces on one server, and measure the lists."""
    with settings.server() as server, contextlib.ExitStack() as stack:
        managers: dict[str, TaskManager] = {}
        for number in (FEW, MANY):
            store = stack.enter_context(RedisStore.from_url(server.url, namespace=f"{number}"))
            manager = managers[f"{number:,} pending"] = TaskManager(store)
            for start in range(0, number, BATCH):
                numbers = range(start, min(start + BATCH, number))
                manager.submit_many(Task(inputs=VALUE, topic=f"t{index % TOPICS}") for index in numbers)
            manager.submit_many(Task(pool_id="claimed") for _ in range(CLAIMED))
            manager.claim_next("agent", ["claimed"], topics=[], count=CLAIMED)

        def measure(name: str) -> Measurement:
            method, _, where = name.partition(", ")
            seconds = []
            for _ in range(settings.tasks(CALLS)):
                started = time.perf_counter()
                LISTS[method](managers[where])
                seconds.append(time.perf_counter() - started)
            return {"a call": statistics.median(seconds) * 1e3}

        yield measure


@contextlib.contextmanager
def caching(settings: Settings) -> Iterator[Measure]:
    """Measure blocking calls, one by one."""
    calls = settings.tasks(HITS)

    def measure(name: str) -> Measurement:
        near = NearCache() if "near" in name else None
        with settings.server() as server, RedisStore.from_url(server.url, near_cache=near) as store:
            cache = SharedCache(store)
            cache.put("key", VALUE, ttl=600.0)
            calls_by_case: dict[str, Callable[[], object]] = {
                "get": lambda: cache.get("key"),
                "get, near cache": lambda: cache.get("key"),
                "get_or_compute, hit": lambda: cache.get_or_compute("key", dict, 600.0),
                "put": lambda: cache.put("key", VALUE, ttl=600.0),
            }
            call = calls_by_case[name]
            while near is not None and not store.near_statistics().hits:
                call()
            started = time.perf_counter()
            for _ in range(calls):
                call()
            return {"rate": calls / (time.perf_counter() - started)}

    yield measure


QUESTIONS = (
    Question(
        "lists",
        f"Lists of at most {LIMIT} tasks, among few and many pending tasks",
        [Metric("a call", "ms", higher_is_better=False, digits=2, has_ratio=False)],
        cases,
        listing,
    ),
    Question(
        "cache",
        "Calls of the shared cache one by one (its peers: python -m bench.checks.cache_peers)",
        [Metric("rate", "calls/s")],
        lambda _settings: CACHE,
        caching,
    ),
)
