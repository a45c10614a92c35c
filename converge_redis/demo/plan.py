"""The tasks and the workers of a run."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from converge_redis.demo.source import Source
from converge_redis.tasks.model import Task

SMALL_FILES = "small-files"
LARGE_FILES = "large-files"
POOLS = (SMALL_FILES, LARGE_FILES)
LARGE_FILE_BYTES = 16 * 1024

PARSE, ASYNC, BULK = "parse", "async", "bulk"
ALL_CAPABILITIES = (PARSE, ASYNC, BULK)
BULK_FILE_BYTES = 64 * 1024

OTHER_TOPICS = "other"
MAX_TOPICS = 12

CLAIM_TTL_SEC = 1.5
# A tenth of the speed of one process, so that a slow parse does not outlive its claim.
BYTES_PER_SECOND = 250_000


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """The options of a worker.

    Attributes:
        name: Its agent id.
        pools: The pools that it joins.
        capabilities: Its capabilities.
        topics: Its topics; None: all.
        concurrency: How many tasks it works on at the same time.
        hangs: Whether it hangs in half of its tasks, while their claims are renewed.
    """

    name: str
    pools: Sequence[str] = POOLS
    capabilities: Sequence[str] = ALL_CAPABILITIES
    topics: Sequence[str] | None = None
    concurrency: int = 1
    hangs: bool = False


VICTIM = WorkerPlan("victim", concurrency=8, hangs=True)
"""The worker that is killed."""


def worker_plans(topics: Sequence[str]) -> list[WorkerPlan]:
    """Return the plans of the other workers. The generalists may claim every task."""
    return [
        WorkerPlan("generalist-1"),
        WorkerPlan("generalist-2"),
        WorkerPlan("small-files", pools=(SMALL_FILES,), capabilities=(PARSE, ASYNC)),
        WorkerPlan("large-files", pools=(LARGE_FILES,), capabilities=(PARSE, BULK)),
        WorkerPlan("specialist", topics=topics[:3]),
    ]


def topics_of(sources: Iterable[Source]) -> list[str]:
    """Return the topics of files: the top-level folders with the most files, and one for all others."""
    packages = Counter(source.package for source in sources if source.package is not None)
    names = [name for name, _ in packages.most_common(MAX_TOPICS) if _is_text(name)]
    return [*names, OTHER_TOPICS]


def _is_text(name: str) -> bool:
    """Return whether a file name is text, as a topic must be: bytes that are not are lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def tasks_of(sources: Iterable[Source], topics: Sequence[str]) -> Iterator[Task]:
    """Make a task for each file, with the file's path and not its content."""
    for source in sources:
        capabilities = [PARSE]
        if source.size > BULK_FILE_BYTES:
            capabilities.append(BULK)
        elif _has_async(source):
            capabilities.append(ASYNC)
        yield Task(
            id=source.id,
            objective="count definitions, lines and imports",
            inputs={"path": os.fsencode(source.path)},
            constraints={"claim_ttl_sec": CLAIM_TTL_SEC + source.size / BYTES_PER_SECOND},
            pool_id=LARGE_FILES if source.size > LARGE_FILE_BYTES else SMALL_FILES,
            topic=source.package if source.package in topics else OTHER_TOPICS,
            required_capabilities=capabilities,
            priority=source.size,  # large files first, so that no worker is busy alone at the end
        )


def _has_async(source: Source) -> bool:
    try:
        return b"async def" in Path(source.path).read_bytes()
    except OSError:
        return False  # the worker reports the error
