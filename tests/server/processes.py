"""Clients and processes for the tests of the embedded server."""

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.backends import TIMEOUT

CLI = [sys.executable, "-m", "converge_redis.cli"]


@contextlib.contextmanager
def connected(url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(url, decode_responses=True, retry=Retry(NoBackoff(), 0)) as client:
        yield client


@contextlib.contextmanager
def running(*command: str, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a process with pipes; kill it after the block if it has not ended."""
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: subprocess.Popen[str]) -> str:
    """Read the next line of a process's output."""
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def has_ended(pid: int, timeout: float = TIMEOUT) -> bool:
    """Wait until a process has ended, reaped or not; ``kill(pid, 0)`` would succeed until it is reaped."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], timeout)[0])
    finally:
        os.close(descriptor)
