"""What could the server do? Our own scripts, sent by ``redis-benchmark``, and our client's share of that."""

import contextlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from bench.questions.question import Measure, Measured, Metric, Question, Server, Settings
from converge_redis import RedisStore, Task, TaskManager
from converge_redis.core.operation import Operation
from converge_redis.tasks.claim import claim_next
from converge_redis.tasks.submit import submit
from converge_redis.transport.delivery import first_command

CALLS = 20000
INPUTS = {"text": "x" * 190}
ONE, MANY = ("-c", "1", "-P", "1"), ("-c", "50", "-P", "16")
RANDOM = "__rand_int__"  # which redis-benchmark replaces
CASES = {
    "submit, one by one": ONE,
    "submit, in bulk beside 50 connections": MANY,
    "claim, one by one": ONE,
    "claim, 100 at a time beside 50 connections": MANY,
}


def subjects(_settings: Settings) -> Sequence[str]:
    """Nothing can be told without the tool."""
    return list(CASES) if shutil.which("redis-benchmark") else []


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Both, each on an empty server, or one with enough tasks."""
    calls = settings.tasks(CALLS)

    def measure(name: str) -> Measured:
        with _prepared(settings, name, calls) as (_, manager):
            ours = calls / _timed(_ours(manager, name, calls))
        with _prepared(settings, name, calls) as (server, manager):
            verb = name.partition(",")[0]
            theirs = _redis_benchmark(server, manager.store, verb, calls, CASES[name])
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
    acts: tuple[Callable[[], object], ...] = (
        lambda: [manager.submit(task) for task in tasks],
        lambda: manager.submit_many(tasks),
        lambda: [manager.claim_next("agent") for _ in tasks],
        lambda: [manager.claim_next("agent", count=100) for _ in range(calls // 100)],
    )
    return dict(zip(CASES, acts, strict=True))[name]


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _redis_benchmark(server: Server, store: RedisStore, verb: str, calls: int, how: Sequence[str]) -> float:
    work = (
        submit(store._namespace, Task(id="x", inputs=INPUTS))
        if verb == "submit"
        else claim_next(store._namespace, "agent")
    )
    assert isinstance(work, Operation)
    command = [part if isinstance(part, bytes) else str(part).encode() for part in first_command(work, False)]
    unique = RANDOM.encode()
    command = [unique if part == b"x" else part for part in command]
    port = urlsplit(server.url).port
    began = time.perf_counter()
    where = ["-h", "127.0.0.1", "-p", str(port), "-n", str(calls), "-r", "1000000000", "--csv"]
    told = subprocess.run(["redis-benchmark", *where, *how, *command], capture_output=True, check=True)
    took = time.perf_counter() - began
    for line in reversed(told.stdout.decode(errors="replace").splitlines()):
        parts = [part.strip('"') for part in line.rsplit(",", 7)]
        if len(parts) == 8 and parts[1].replace(".", "").isdigit():
            return float(parts[1])
    return calls / took


QUESTIONS = (
    Question(
        "limit",
        "Our scripts as our client sends them, and as redis-benchmark does",
        [
            Metric("ours", "tasks/s", has_ratio=False),
            Metric("redis-benchmark", "tasks/s", has_ratio=False),
            Metric("our share", "%", has_ratio=False),
        ],
        subjects,
        measuring,
    ),
)
