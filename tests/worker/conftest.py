"""Fixtures of the tests of workers."""

from collections.abc import Iterator

import pytest

from converge_redis import RedisStore, TaskManager
from converge_redis.worker import run
from tests.support.backends import TIMEOUT, Backend

LEASE = 600.0
"""Seconds; only the tests of leases have shorter ones, since a busy machine may not renew those in time."""


@pytest.fixture(autouse=True)
def unhurried_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers report all outcomes when they end, however slow the machine is."""
    monkeypatch.setattr(run, "FLUSH_TIMEOUT", TIMEOUT)


@pytest.fixture
def store(real: Backend) -> Iterator[RedisStore]:
    with RedisStore.from_url(str(real.url), "work", claim_ttl_sec=LEASE) as store:
        yield store


@pytest.fixture
def manager(store: RedisStore) -> Iterator[TaskManager]:
    """A manager, and an audit after the test."""
    manager = TaskManager(store)
    yield manager
    assert manager.audit() == []
