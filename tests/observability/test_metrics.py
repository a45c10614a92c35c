"""Metrics: outcomes and durations of the managers' methods."""

import asyncio
from collections import Counter
from typing import Any

import prometheus_client
import pytest

from converge_redis import NotAuthorizedError, PoolManager, PoolNotFoundError, Task, TaskManager
from converge_redis.observability.metrics import CALLS, SECONDS
from converge_redis.observability.prometheus import PrometheusMetrics
from converge_redis.tasks.manager import AsyncTaskManager
from tests.support.backends import TIMEOUT, Backend


class Recorder:
    def __init__(self) -> None:
        self.counted: Counter[tuple[str, str]] = Counter()
        self.seconds: list[tuple[str, float]] = []

    def inc(self, name: str, value: float = 1, **labels: str) -> None:
        assert name == CALLS
        assert value == 1
        self.counted[labels["verb"], labels["outcome"]] += 1

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        assert name == SECONDS
        self.seconds.append((labels["verb"], seconds))


class FailingMetrics:
    def inc(self, name: str, value: float = 1, **labels: str) -> None:
        raise RuntimeError("inc failed")

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        raise RuntimeError("observe failed")


def test_each_call_counts_its_outcome_and_duration(real: Backend) -> None:
    metrics = Recorder()
    with real.store() as store:
        manager = TaskManager(store, metrics)
        task_id = manager.submit(Task())
        assert manager.claim("a", task_id)
        assert not manager.claim("b", task_id)
        assert not manager.claim_next("a")
        assert manager.get_task("nobody") is None
        with pytest.raises(NotAuthorizedError):
            manager.report("b", task_id, 1)
        manager.report("a", task_id, 1)
        assert asyncio.run(manager.wait_until_done(task_id, TIMEOUT)) is not None
        with pytest.raises(PoolNotFoundError):
            PoolManager(store, metrics).join_pool("a", "nowhere")
        with pytest.raises(ValueError, match="agent_id"):
            manager.claim("", "t")
    assert metrics.counted == {
        ("submit", "ok"): 1,
        ("claim", "true"): 1,
        ("claim", "false"): 1,
        ("claim", "InvalidValueError"): 1,
        ("claim_next", "empty"): 1,
        ("get_task", "none"): 1,
        ("report", "NotAuthorizedError"): 1,
        ("report", "true"): 1,
        ("wait_until_done", "ok"): 1,
        ("join_pool", "PoolNotFoundError"): 1,
    }
    assert Counter(verb for verb, _ in metrics.seconds) == Counter(
        {verb: sum(n for (v, _), n in metrics.counted.items() if v == verb) for verb, _ in metrics.counted}
    )
    assert all(seconds > 0 for _, seconds in metrics.seconds)


async def test_asyncio_calls_count_their_outcome(real: Backend) -> None:
    metrics = Recorder()
    async with real.async_store() as store:
        manager = AsyncTaskManager(store, metrics)
        await manager.claim("a", await manager.submit(Task()))
    assert metrics.counted == {("submit", "ok"): 1, ("claim", "true"): 1}


def test_failing_metrics_do_not_fail_calls(real: Backend, caplog: pytest.LogCaptureFixture) -> None:
    with real.store() as store:
        manager = TaskManager(store, FailingMetrics())
        assert manager.claim("a", manager.submit(Task()))
    assert "coordination_metrics failed" in caplog.text


def test_prometheus_gets_the_counts(real: Backend) -> None:
    registry = prometheus_client.CollectorRegistry()
    metrics: Any = PrometheusMetrics(registry)
    with real.store() as store:
        manager = TaskManager(store, metrics)
        for _ in range(3):
            manager.claim("a", manager.submit(Task()))
    assert registry.get_sample_value(CALLS, {"verb": "claim", "outcome": "true"}) == 3
    assert registry.get_sample_value(f"{SECONDS}_count", {"verb": "submit"}) == 3
