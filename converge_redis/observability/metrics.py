"""Metrics of the managers' methods: number of calls by outcome, and durations."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

_log = logging.getLogger("converge_redis")

CALLS = "converge_calls_total"
"""Counter of calls, with the labels ``verb`` (the method) and ``outcome``."""

SECONDS = "converge_call_seconds"
"""Duration of calls in seconds, including waiting, with the label ``verb`` (the method)."""


class CoordinationMetrics(Protocol):
    """The interface that managers report metrics to."""

    def inc(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a counter.

        Args:
            name: The counter's name.
            value: The number to add.
            labels: The counter's labels.
        """

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Record a duration.

        Args:
            name: The name of the histogram.
            seconds: The duration.
            labels: The histogram's labels.
        """


class MeasuredCall:
    """A call whose outcome and duration are measured."""

    outcome = "ok"

    def returned(self, result: Any) -> None:
        """Derive the outcome from the result: ``true``, ``false``, ``none``, ``empty`` or ``ok``."""
        if result is None or isinstance(result, bool):
            self.outcome = str(result).lower()
        elif isinstance(result, list) and not result:
            self.outcome = "empty"


@contextmanager
def measured(metrics: CoordinationMetrics | None, verb: str) -> Generator[MeasuredCall]:
    """Measure a call. The outcome of an exception is its class name. Errors of `metrics` are logged only."""
    call = MeasuredCall()
    started = time.perf_counter()
    try:
        yield call
    except BaseException as error:
        call.outcome = type(error).__name__
        raise
    finally:
        if metrics is not None:
            try:
                metrics.inc(CALLS, 1, verb=verb, outcome=call.outcome)
                metrics.observe(SECONDS, time.perf_counter() - started, verb=verb)
            except Exception:
                _log.exception("coordination_metrics failed")
