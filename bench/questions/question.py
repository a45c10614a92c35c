"""What a question to the systems is."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from bench.systems.peers import SYSTEMS, System
from converge_redis import EmbeddedServer

Measured = dict[str, float]


@dataclass(frozen=True)
class Metric:
    """One number that a question asks for.

    Attributes:
        name: What it is.
        unit: Its unit.
        more_is_better: Whether a larger number is the better one.
        digits: Digits after the decimal point in tables.
        has_ratio: Whether its ratio to the base says anything.
    """

    name: str
    unit: str
    more_is_better: bool = True
    digits: int = 0
    has_ratio: bool = True


@dataclass(frozen=True)
class Settings:
    """How the questions are asked.

    Attributes:
        systems: The names of the systems to compare.
        url: A server to use instead of embedded ones; all that is on it is deleted.
        quick: Whether to take fewer tasks, for a first look.
    """

    systems: Sequence[str] = tuple(SYSTEMS)
    url: str | None = None
    quick: bool = False

    def tasks(self, number: int) -> int:
        """Return how many tasks to take: fewer for a first look."""
        return max(1, number // 4) if self.quick else number

    @contextlib.contextmanager
    def server(self) -> Iterator["Server"]:
        """Give an empty server."""
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
        client: A client to look at it.
    """

    url: str
    client: redis.Redis

    def cpu_seconds(self) -> float:
        """Return the seconds of CPU that it has used."""
        info: Any = self.client.info("cpu")
        return float(info["used_cpu_user"] + info["used_cpu_sys"])

    def used_memory(self) -> int:
        """Return the bytes that it has in use."""
        info: Any = self.client.info("memory")
        return int(info["used_memory"])

    def pin(self, *cpus: int) -> None:
        """Have it run on these CPUs only; only a server on this machine can be."""
        info: Any = self.client.info("server")
        os.sched_setaffinity(int(info["process_id"]), cpus)


Measure = Callable[[str], Measured]


@dataclass(frozen=True)
class Question:
    """A question, asked of several subjects in turn, round by round.

    Attributes:
        name: Its name on the command line.
        asks: What it asks, in a sentence.
        metrics: The numbers that it gives.
        subjects: Returns whom it asks: systems, or cases.
        measuring: Makes, for the time of a run, what measures one subject once.
        base: The subject that ratios are taken to; None: the first.
        compares: Whether the subjects are systems.
    """

    name: str
    asks: str
    metrics: Sequence[Metric]
    subjects: Callable[[Settings], Sequence[str]]
    measuring: Callable[[Settings], contextlib.AbstractContextManager[Measure]]
    base: str | None = None
    compares: bool = field(default=False)


def systems(settings: Settings) -> Sequence[str]:
    """The subjects of a question that compares systems."""
    return list(settings.systems)
