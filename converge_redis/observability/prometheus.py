"""Coordination metrics for Prometheus; needs the extra ``converge-redis[prometheus]``."""

import threading

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram


class PrometheusMetrics:
    """Counters and histograms in a Prometheus registry: ``TaskManager(store, PrometheusMetrics())``.

    Args:
        registry: The registry; default: that of the process.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._registry = registry
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._lock = threading.Lock()

    def inc(self, name: str, value: float = 1, **labels: str) -> None:
        """Add to a counter, which is registered at its first use with the names of its labels."""
        with self._lock:
            counter = self._counters.get(name)
            if counter is None:
                help_text = f"{name}, counted by converge-redis"
                counter = Counter(name, help_text, sorted(labels), registry=self._registry)
                self._counters[name] = counter
        counter.labels(**labels).inc(value)

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        """Record a duration in a histogram, which is registered at its first use with its label names."""
        with self._lock:
            histogram = self._histograms.get(name)
            if histogram is None:
                help_text = f"{name}, measured by converge-redis"
                histogram = Histogram(name, help_text, sorted(labels), registry=self._registry)
                self._histograms[name] = histogram
        histogram.labels(**labels).observe(seconds)
