"""The limit of the server: our scripts sent by ``redis-benchmark``, compared with our client."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from bench.questions.question import Measure, Measurement, Metric, Question, Server, Settings
from converge_redis import RedisStore, Task, TaskManager
from converge_redis.core.operation import Operation
from converge_redis.tasks.claim import claim_next
from converge_redis.tasks.submit import submit
from converge_redis.transport.delivery import first_command

CALLS = 20000
INPUTS = {"text": "x" * 190}
ONE, MANY = ("-c", "1", "-P", "1"), ("-c", "50", "-P", "16")
RANDOM = "__rand_int__"  # replaced by redis-benchmark
CASES = {
    "submit, one by one": ONE,
    "submit, in bulk beside 50 connections": MANY,
    "claim, one by one": ONE,
    "claim, 100 at a time beside 50 connections": MANY,
}


def subjects(_settings: Settings) -> Sequence[str]:
    """Return the cases; none without ``redis-benchmark``."""
    return list(CASES) if shutil.which("redis-benchmark") else []


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Measure our client and redis-benchmark, each on a new server, with enough tasks for claims."""
    calls = settings.tasks(CALLS)

    def measure(name: str) -> Measurement:
        with _prepared(settings, name, calls) as (_, manager):
            ours = calls / _timed(_ours(manager, name, calls))
        with _prepared(settings, name, calls) as (server, manager):
            method = name.partition(",")[0]
            theirs = _redis_benchmark(server, manager.store, method, calls, CASES[name])
        return {"ours": ours, "redis-benchmark": theirs, "our share": 100 * ours / theirs}

    yield measure


@contextlib.contextmanager
def _prepared(settings: Settings, name: str, calls: int) -> Iterator[tuple[Server, TaskManager]]:
    with settings.server() as server, RedisStore.from_url(server.url) as store:
        manager = TaskManager(store)
        manager.submit(Task())
        manager.claim_next("agent")
        if name.startswith("claim"):
            manager.submit_many(Task(inputs=INPUTS) for _ in range(calls + 1000))
        yield server, manager


def _ours(manager: TaskManager, name: str, calls: int) -> Callable[[], object]:
    tasks = [Task(inputs=INPUTS) for _ in range(calls)]
    calls_by_case: tuple[Callable[[], object], ...] = (
        lambda: [manager.submit(task) for task in tasks],
        lambda: manager.submit_many(tasks),
        lambda: [manager.claim_next("agent") for _ in tasks],
        lambda: [manager.claim_next("agent", count=100) for _ in range(calls // 100)],
    )
    return dict(zip(CASES, calls_by_case, strict=True))[name]


def _timed(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def _redis_benchmark(
    server: Server, store: RedisStore, method: str, calls: int, options: Sequence[str]
) -> float:
    operation = (
        submit(store._namespace, Task(id="x", inputs=INPUTS))
        if method == "submit"
        else claim_next(store._namespace, "agent")
    )
    assert isinstance(operation, Operation)
    command = [
        part if isinstance(part, bytes) else str(part).encode() for part in first_command(operation, False)
    ]
    unique = RANDOM.encode()
    command = [unique if part == b"x" else part for part in command]
    port = urlsplit(server.url).port
    began = time.perf_counter()
    where = ["-h", "127.0.0.1", "-p", str(port), "-n", str(calls), "-r", "1000000000", "--csv"]
    output = subprocess.run(["redis-benchmark", *where, *options, *command], capture_output=True, check=True)
    took = time.perf_counter() - began
    for line in reversed(output.stdout.decode(errors="replace").splitlines()):
        parts = [part.strip('"') for part in line.rsplit(",", 7)]
        if len(parts) == 8 and parts[1].replace(".", "").isdigit():
            return float(parts[1])
    return calls / took


QUESTIONS = (
    Question(
        "limit",
        "Our scripts, sent by our client and by redis-benchmark",
        [
            Metric("ours", "tasks/s", has_ratio=False),
            Metric("redis-benchmark", "tasks/s", has_ratio=False),
            Metric("our share", "%", has_ratio=False),
        ],
        subjects,
        measuring,
    ),
)
