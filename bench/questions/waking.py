"""How many idle claimers does a task wake, and what do those cost who wait for tasks to end?"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from bench.checks.crowd import crowd
from bench.checks.many_waiters import measure as wait_for_many
from bench.checks.wake_herd import FILTERS, ClaimScripts, claimed, news, submit_each
from bench.questions.question import Measure, Measured, Metric, Question, Settings
from converge_redis import RedisStore, TaskManager

CLAIMERS, PROCESSES, BURST = 1000, 4, 100
HERD = ("one task", "100 in one call", "100 in single calls")
WAITERS = {"1,000 waiters": 1000, "10,000 waiters": 10_000}


@contextlib.contextmanager
def herd(settings: Settings) -> Iterator[Measure]:
    """Count the claim scripts that run while claimers wait in several processes."""

    def measure(name: str) -> Measured:
        with (
            settings.server() as server,
            RedisStore.from_url(server.url) as store,
            crowd(server.url, settings.tasks(CLAIMERS), PROCESSES, FILTERS) as members,
        ):
            manager, scripts = TaskManager(store), ClaimScripts(server.url)
            number = 1 if name == "one task" else BURST
            submit: dict[str, Callable[[], Any]] = {
                "one task": lambda: manager.submit(*news(1)),
                "100 in one call": lambda: manager.submit_many(news(BURST)),
                "100 in single calls": lambda: submit_each(server.url, news(BURST)),
            }
            submit[name]()
            done = claimed(members, number)
            return {"claim scripts": scripts.count / number, "claimed": 100 * done / number}

    yield measure


@contextlib.contextmanager
def waiting(settings: Settings) -> Iterator[Measure]:
    """Each waits by a `wait_until_done` of its own, in one process on asyncio."""

    def measure(name: str) -> Measured:
        with settings.server() as server:
            found = asyncio.run(wait_for_many(server.url, WAITERS[name], "wait_until_done"))
        return {
            "told right": 100 * found.right / WAITERS[name],
            "connections": found.listeners,
            "to register": found.registering,
            "in the process": found.in_process,
            "in the server": found.in_server,
        }

    yield measure


QUESTIONS = (
    Question(
        "herd",
        f"Claim scripts that run for a task while {CLAIMERS:,} idle claimers wait in {PROCESSES} processes",
        [
            Metric("claim scripts", "a task", more_is_better=False, digits=2, has_ratio=False),
            Metric("claimed", "%", has_ratio=False),
        ],
        lambda _settings: HERD,
        herd,
    ),
    Question(
        "waiters",
        "Waiting for tasks to end, each by a call of its own in one process",
        [
            Metric("told right", "%", has_ratio=False),
            Metric("connections", "", more_is_better=False, has_ratio=False),
            Metric("to register", "s", more_is_better=False, digits=2, has_ratio=False),
            Metric("in the process", "bytes each", more_is_better=False, has_ratio=False),
            Metric("in the server", "bytes each", more_is_better=False, has_ratio=False),
        ],
        lambda _settings: tuple(WAITERS),
        waiting,
    ),
)
