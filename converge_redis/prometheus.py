"""Prometheus."""

from converge_redis.observability.prometheus import PrometheusMetrics

__all__ = ["PrometheusMetrics"]
