"""What could the server do? Our own scripts, sent by ``redis-benchmark``, and our client's share of that."""

import contextlib
import itertools
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import urlsplit

from bench.questions.question import Measure, Measured, Metric, Question, Server, Settings
from converge_redis import RedisStore, Task, TaskManager
from converge_redis.operation import Operation
from converge_redis.operations.claiming import claim_next
from converge_redis.operations.submitting import submit
from converge_redis.sending import first_command

CALLS = 20000
INPUTS = {"text": "x" * 190}
ONE, MANY = ("-c", "1", "-P", "1"), ("-c", "50", "-P", "16")
RANDOM = "__rand_int__"  # which redis-benchmark replaces

SUBJECTS = (
    "submit, ours one by one",
    "submit, redis-benchmark one by one",
    "submit, ours in bulk",
    "submit, redis-benchmark 50 connections",
    "claim, ours one by one",
    "claim, redis-benchmark one by one",
    "claim, ours 100 at a time",
    "claim, redis-benchmark 50 connections",
)


def subjects(_settings: Settings) -> Sequence[str]:
    """Without the tool, only ours."""
    return [name for name in SUBJECTS if "redis-benchmark" not in name or shutil.which("redis-benchmark")]


@contextlib.contextmanager
def measuring(settings: Settings) -> Iterator[Measure]:
    """Each on an empty server, or one with enough tasks."""
    calls = settings.tasks(CALLS)

    def measure(name: str) -> Measured:
        with settings.server() as server, RedisStore.from_url(server.url) as store:
            manager = TaskManager(store)
            manager.submit(Task())
            manager.claim_next("agent")
            if name.startswith("claim"):
                manager.submit_many(Task(inputs=INPUTS) for _ in range(calls + 1000))
            if "redis-benchmark" in name:
                how = ONE if name.endswith("one by one") else MANY
                return {"rate": _redis_benchmark(server, store, name.split(",", maxsplit=1)[0], calls, how)}
            return {"rate": calls / _timed(_ours(manager, name, calls))}

    yield measure


def _ours(manager: TaskManager, name: str, calls: int) -> Callable[[], object]:
    tasks = [Task(inputs=INPUTS) for _ in range(calls)]
    return {
        "submit, ours one by one": lambda: [manager.submit(task) for task in tasks],
        "submit, ours in bulk": lambda: manager.submit_many(tasks),
        "claim, ours one by one": lambda: [manager.claim_next("agent") for _ in tasks],
        "claim, ours 100 at a time": lambda: [
            manager.claim_next("agent", count=100) for _ in itertools.repeat(None, calls // 100)
        ],
    }[name]


def _timed(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _redis_benchmark(server: Server, store: RedisStore, verb: str, calls: int, how: Sequence[str]) -> float:
    work = (
        submit(store.namespace, Task(id="x", inputs=INPUTS))
        if verb == "submit"
        else next(claim_next(store.namespace, "agent"))
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
        [Metric("rate", "tasks/s")],
        subjects,
        measuring,
    ),
)
