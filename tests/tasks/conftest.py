"""Fixtures of the tests of tasks."""

import pytest

from converge_redis.notifications import waiters
from converge_redis.tasks import claim_queue
from tests.tasks.support import LONG_WAIT


@pytest.fixture(autouse=True)
def no_periodic_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only messages, due timers and reconnects wake calls that wait: a lost message fails the test."""
    monkeypatch.setattr(claim_queue, "RENEWAL_SECONDS", LONG_WAIT)
    monkeypatch.setattr(waiters, "REREAD_SECONDS", LONG_WAIT)
