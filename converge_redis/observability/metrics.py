"""Measurements of every verb: how often, with which outcome, how long."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

_log = logging.getLogger("converge_redis")

CALLS = "converge_calls_total"
"""Counter, with the labels ``verb`` and ``outcome``."""

SECONDS = "converge_call_seconds"
"""Duration of calls in seconds, waiting included, with the label ``verb``."""


class CoordinationMetrics(Protocol):
    """What managers report to; any object with these two methods serves."""

    def inc(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a counter.

        Args:
            name: The counter's name.
            value: What to add.
            labels: The counter's labels.
        """

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Record a duration.

        Args:
            name: The name of the distribution.
            seconds: The duration.
            labels: The distribution's labels.
        """


class Call:
    """One call of a verb that is being measured."""

    outcome = "ok"

    def returned(self, result: Any) -> None:
        """Name the outcome after a result: ``true``, ``false``, ``none``, ``empty`` or ``ok``."""
        if result is None or isinstance(result, bool):
            self.outcome = str(result).lower()
        elif isinstance(result, list) and not result:
            self.outcome = "empty"


@contextmanager
def measured(metrics: CoordinationMetrics | None, verb: str) -> Generator[Call]:
    """Measure the call of a verb; an error's class name is its outcome. Failing metrics are only logged."""
    call = Call()
    begun = time.perf_counter()
    try:
        yield call
    except BaseException as error:
        call.outcome = type(error).__name__
        raise
    finally:
        if metrics is not None:
            try:
                metrics.inc(CALLS, 1, verb=verb, outcome=call.outcome)
                metrics.observe(SECONDS, time.perf_counter() - begun, verb=verb)
            except Exception:
                _log.exception("coordination_metrics failed")
