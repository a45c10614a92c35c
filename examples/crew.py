"""What the examples have in common: a server of their own, and processes that work on it."""

import multiprocessing
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from converge_redis import EmbeddedServer, RedisStore


@contextmanager
def fleet(member: Callable[..., None], *each: tuple[Any, ...]) -> Iterator[RedisStore]:
    """Run a function in a process for each tuple of arguments, with the server's URL before them.

    The caller gets a store on the same server; at the end it waits for the processes.
    """
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server, RedisStore.from_url(server.url) as store:
        processes = [context.Process(target=member, args=(server.url, *arguments)) for arguments in each]
        for process in processes:
            process.start()
        yield store
        for process in processes:
            process.join()
        failed = [process.exitcode for process in processes if process.exitcode]
        if failed:
            raise SystemExit(f"{len(failed)} processes failed")


def say(text: str) -> None:
    """Print a line in one piece: several processes share the screen."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
