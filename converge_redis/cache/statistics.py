"""Statistics of a shared cache: counted per object, and reported to metrics."""

import logging
from dataclasses import dataclass

from converge_redis.observability.metrics import CoordinationMetrics

EVENTS = "converge_cache_events_total"
"""Counter, with the labels ``cache`` (its prefix) and ``event``, a field of `CacheStatistics`."""

_log = logging.getLogger("converge_redis")


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """Counters of a cache since it was made, in this process.

    Attributes:
        hits: Reads that found a fresh entry on the server.
        near_hits: Reads that found an entry in the near cache.
        misses: Reads that found no fresh entry.
        waits: Misses that waited while another caller computed.
        computes: Computations begun by this object.
        failures: Those of them that raised an error.
        stale_serves: Reads that returned a stale entry.
        bytes_read: Bytes of entries received from the server.
        bytes_written: Bytes of values sent to the server.
    """

    hits: int = 0
    near_hits: int = 0
    misses: int = 0
    waits: int = 0
    computes: int = 0
    failures: int = 0
    stale_serves: int = 0
    bytes_read: int = 0
    bytes_written: int = 0


class CacheCounters:
    """The counters of one cache.

    Args:
        cache: The prefix of the cache.
        metrics: Where to report them too; None: nowhere.
    """

    def __init__(self, cache: str, metrics: CoordinationMetrics | None) -> None:
        self._cache = cache
        self._metrics = metrics
        self._counts = dict.fromkeys(CacheStatistics.__dataclass_fields__, 0)

    def add(self, event: str, number: int = 1) -> None:
        """Add to a counter. Errors of the metrics object are only logged."""
        self._counts[event] += number
        if self._metrics is not None:
            try:
                self._metrics.inc(EVENTS, number, cache=self._cache, event=event)
            except Exception:
                _log.exception("coordination_metrics failed")

    def hit(self, size: int) -> None:
        """Count a fresh entry from the server."""
        if self._metrics is None:
            self._counts["hits"] += 1
            self._counts["bytes_read"] += size
        else:
            self.add("hits")
            self.add("bytes_read", size)

    def statistics(self) -> CacheStatistics:
        """Return the counters."""
        return CacheStatistics(**self._counts)
