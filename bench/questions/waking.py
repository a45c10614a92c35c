"""The number of idle claimers that a task wakes, and the cost of waiting calls."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from bench.checks.many_waiters import measure as wait_for_many
from bench.checks.thundering_herd import FILTERS, ClaimScripts, count_claimed, news_tasks, submit_each
from bench.checks.waiting_claimers import waiting_claimers
from bench.questions.question import Measure, Measurement, Metric, Question, Settings
from converge_redis import RedisStore, TaskManager

CLAIMERS, PROCESSES, BURST = 1000, 4, 100
HERD = ("one task", "100 in one call", "100 in single calls")
WAITERS = {"1,000 waiters": 1000, "10,000 waiters": 10_000}


@contextlib.contextmanager
def herd(settings: Settings) -> Iterator[Measure]:
    """Count the claim scripts that run per task while claimers wait in several processes."""

    def measure(name: str) -> Measurement:
        with (
            settings.server() as server,
            RedisStore.from_url(server.url) as store,
            waiting_claimers(server.url, settings.tasks(CLAIMERS), PROCESSES, FILTERS) as processes,
        ):
            manager, scripts = TaskManager(store), ClaimScripts(server.url)
            number = 1 if name == "one task" else BURST
            submit: dict[str, Callable[[], Any]] = {
                "one task": lambda: manager.submit(*news_tasks(1)),
                "100 in one call": lambda: manager.submit_many(news_tasks(BURST)),
                "100 in single calls": lambda: submit_each(server.url, news_tasks(BURST)),
            }
            submit[name]()
            done = count_claimed(processes, number)
            return {"claim scripts": scripts.count / number, "claimed": 100 * done / number}

    yield measure


@contextlib.contextmanager
def waiting(settings: Settings) -> Iterator[Measure]:
    """Measure calls of `wait_until_done` in one process on asyncio."""

    def measure(name: str) -> Measurement:
        with settings.server() as server:
            cost = asyncio.run(wait_for_many(server.url, WAITERS[name], "wait_until_done"))
        return {
            "correct": 100 * cost.correct / WAITERS[name],
            "connections": cost.listeners,
            "registration": cost.registration,
            "process memory": cost.process_memory,
            "server memory": cost.server_memory,
        }

    yield measure


QUESTIONS = (
    Question(
        "herd",
        f"Claim scripts per task while {CLAIMERS:,} idle claimers wait in {PROCESSES} processes",
        [
            Metric("claim scripts", "a task", higher_is_better=False, digits=2, has_ratio=False),
            Metric("claimed", "%", has_ratio=False),
        ],
        lambda _settings: HERD,
        herd,
    ),
    Question(
        "waiters",
        "Calls that wait for tasks to end, all in one process",
        [
            Metric("correct", "%", has_ratio=False),
            Metric("connections", "", higher_is_better=False, has_ratio=False),
            Metric("registration", "s", higher_is_better=False, digits=2, has_ratio=False),
            Metric("process memory", "bytes each", higher_is_better=False, has_ratio=False),
            Metric("server memory", "bytes each", higher_is_better=False, has_ratio=False),
        ],
        lambda _settings: tuple(WAITERS),
        waiting,
    ),
)
