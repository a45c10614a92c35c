"""Shared by the examples: starts an embedded server, and processes that use it."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from converge_redis import EmbeddedServer, RedisStore


@contextmanager
def fleet(member: Callable[..., None], *arguments: tuple[Any, ...]) -> Iterator[RedisStore]:
    """Start one process per tuple of arguments; each calls `member(url, *arguments)`.

    Yields a store on the same server, and waits for the processes when the block ends.
    """
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server, RedisStore.from_url(server.url) as store:
        processes = [context.Process(target=member, args=(server.url, *args)) for args in arguments]
        for process in processes:
            process.start()
        yield store
        for process in processes:
            process.join()
        failed = [process.exitcode for process in processes if process.exitcode]
        if failed:
            raise SystemExit(f"{len(failed)} processes failed")


def say(text: str) -> None:
    """Print a line in one write: several processes share the terminal."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
