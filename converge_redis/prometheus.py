"""Coordination metrics for Prometheus; needs the extra ``converge-redis[prometheus]``."""

from converge_redis.observability.prometheus import PrometheusMetrics

__all__ = ["PrometheusMetrics"]
