"""Which task a file becomes, and which workers there are."""

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
LARGE = 16 * 1024  # bytes

PARSE, ASYNC, BULK = "parse", "async", "bulk"
ALL = (PARSE, ASYNC, BULK)
BULKY = 64 * 1024  # bytes

OTHER_TOPICS = "other"
MOST_TOPICS = 12

CLAIM_TTL_SEC = 1.5
BYTES_PER_SECOND = 250_000  # a tenth of what one process parses: a slow parse must not outlive its claim


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """A worker: what it may claim, and how.

    Attributes:
        name: Its agent id.
        pools: The pools that it is in.
        capabilities: What it can do.
        topics: The topics that it takes; None: all.
        count: How many tasks it claims at once.
        gets_stuck: Whether it stops half-way through each batch and only extends its claims from there on.
    """

    name: str
    pools: Sequence[str] = POOLS
    capabilities: Sequence[str] = ALL
    topics: Sequence[str] | None = None
    count: int = 1
    gets_stuck: bool = False


VICTIM = WorkerPlan("victim", count=8, gets_stuck=True)


def workers(topics: Sequence[str]) -> list[WorkerPlan]:
    """Return the workers beside the victim. The generalists may claim every task."""
    return [
        WorkerPlan("generalist-1"),
        WorkerPlan("generalist-2"),
        WorkerPlan("small-files", pools=(SMALL_FILES,), capabilities=(PARSE, ASYNC)),
        WorkerPlan("large-files", pools=(LARGE_FILES,), capabilities=(PARSE, BULK)),
        WorkerPlan("specialist", topics=topics[:3]),
    ]


def topics_of(sources: Iterable[Source]) -> list[str]:
    """Return the topics of a folder's files: the top-level folders with the most files, and the others."""
    packages = Counter(source.package for source in sources if source.package is not None)
    named = [name for name, _ in packages.most_common(MOST_TOPICS) if _is_text(name)]
    return [*named, OTHER_TOPICS]


def _is_text(name: str) -> bool:
    """Tell whether a file name is text, as a topic must be; other bytes are escaped as lone surrogates."""
    return not any("\ud800" <= character <= "\udfff" for character in name)


def tasks_of(sources: Iterable[Source], topics: Sequence[str]) -> Iterator[Task]:
    """Make a task of each file. It carries the file's path, not its content."""
    for source in sources:
        capabilities = [PARSE]
        if source.size > BULKY:
            capabilities.append(BULK)
        elif _has_async(source):
            capabilities.append(ASYNC)
        yield Task(
            id=source.id,
            objective="count definitions, lines and imports",
            inputs={"path": os.fsencode(source.path)},
            constraints={"claim_ttl_sec": CLAIM_TTL_SEC + source.size / BYTES_PER_SECOND},
            pool_id=LARGE_FILES if source.size > LARGE else SMALL_FILES,
            topic=source.package if source.package in topics else OTHER_TOPICS,
            required_capabilities=capabilities,
            priority=source.size,  # the largest first, so that none is left over for the end
        )


def _has_async(source: Source) -> bool:
    try:
        return b"async def" in Path(source.path).read_bytes()
    except OSError:
        return False  # the worker will say why
