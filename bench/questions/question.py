"""The question: a benchmark of several subjects, and its settings."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from bench.systems.peers import SYSTEMS, System
from converge_redis import EmbeddedServer

Measurement = dict[str, float]
"""The values of one round by metric."""


@dataclass(frozen=True)
class Metric:
    """A metric of a question.

    Attributes:
        name: Its name.
        unit: Its unit.
        higher_is_better: Whether a higher value is better.
        digits: Digits after the decimal point in tables.
        has_ratio: Whether tables show its ratio to the base.
    """

    name: str
    unit: str
    higher_is_better: bool = True
    digits: int = 0
    has_ratio: bool = True


@dataclass(frozen=True)
class Settings:
    """The settings of a run.

    Attributes:
        systems: The names of the systems to compare.
        url: The server to use instead of embedded ones; all its data is deleted.
        quick: Whether to use fewer tasks.
    """

    systems: Sequence[str] = tuple(SYSTEMS)
    url: str | None = None
    quick: bool = False

    def tasks(self, number: int) -> int:
        """Return the number of tasks: a quarter in a quick run."""
        return max(1, number // 4) if self.quick else number

    @contextlib.contextmanager
    def server(self) -> Iterator["Server"]:
        """Provide an empty server."""
        if self.url is not None:
            with redis.Redis.from_url(self.url) as client:
                client.flushall()
                yield Server(self.url, client)
            return
        with EmbeddedServer(port=0) as embedded, redis.Redis.from_url(embedded.url) as client:
            yield Server(embedded.url, client)

    @property
    def compared(self) -> list[System]:
        """The systems to compare."""
        return [SYSTEMS[name] for name in self.systems]


@dataclass(frozen=True)
class Server:
    """A server under test.

    Attributes:
        url: Its URL.
        client: A client of it.
    """

    url: str
    client: redis.Redis

    def cpu_seconds(self) -> float:
        """Return the CPU seconds that it has used."""
        info: Any = self.client.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def used_memory(self) -> int:
        """Return its used memory in bytes."""
        info: Any = self.client.info("memory")
        return int(info["used_memory"])

    def pin(self, *cpus: int) -> None:
        """Restrict it to these CPUs; it must run on this machine."""
        info: Any = self.client.info("server")
        os.sched_setaffinity(int(info["process_id"]), cpus)


Measure = Callable[[str], Measurement]
"""Measures a subject once."""


@dataclass(frozen=True)
class Question:
    """A question: measured for each subject in each round.

    Attributes:
        name: Its name on the command line.
        title: Its title.
        metrics: Its metrics.
        subjects: Returns its subjects: names of systems or cases.
        measuring: Prepares a run, and yields the function that measures a subject.
        base: The subject to which ratios are computed; None: the first.
        compares: Whether the subjects are systems.
    """

    name: str
    title: str
    metrics: Sequence[Metric]
    subjects: Callable[[Settings], Sequence[str]]
    measuring: Callable[[Settings], contextlib.AbstractContextManager[Measure]]
    base: str | None = None
    compares: bool = field(default=False)


def systems(settings: Settings) -> Sequence[str]:
    """Return the subjects of a question that compares systems."""
    return list(settings.systems)
