"""The formulas of the simulation, compared with known values."""

import math

import pytest

from bench.simulate import Costs, Fleet, erlang_c, predict

FREE = Costs(server=1e-6, worker=1e-6, overhead=0.0)


@pytest.mark.parametrize(
    ("servers", "load", "share"),
    [(1, 0.5, 0.5), (1, 0.9, 0.9), (2, 1.0, 1 / 3), (10, 8.0, 0.4092), (100, 80.0, 0.0196)],
)
def test_erlang_c(servers: int, load: float, share: float) -> None:
    assert erlang_c(servers, load) == pytest.approx(share, abs=0.0005)


def test_with_many_servers_it_does_not_overflow() -> None:
    assert 0 < erlang_c(5000, 4900.0) < 1


def test_one_agent_is_the_simplest_queue() -> None:
    prediction = predict(Fleet(agents=1, rate=5.0, task_seconds=0.1), FREE)
    assert prediction.agents_busy == pytest.approx(0.5)
    assert prediction.wait_seconds == pytest.approx(0.1, rel=0.001)  # rho / (1 - rho) of a task
    assert prediction.bottleneck == "agents"
    assert prediction.max_rate == pytest.approx(10.0)


def test_too_many_tasks_wait_without_limit() -> None:
    prediction = predict(Fleet(agents=2, rate=100.0, task_seconds=0.1), FREE)
    assert prediction.throughput == pytest.approx(20.0)
    assert prediction.wait_seconds == math.inf


def test_the_server_saturates_first_where_tasks_are_short() -> None:
    costs = Costs(server=100e-6, worker=10e-6, overhead=0.0)
    prediction = predict(Fleet(agents=1000, rate=20_000.0, task_seconds=0.001, cores=16), costs)
    assert prediction.bottleneck == "server"
    assert prediction.max_rate == pytest.approx(10_000.0)
    more = predict(Fleet(agents=1000, rate=20_000.0, task_seconds=0.001, cores=16, shards=4), costs)
    assert more.throughput == 20_000.0


def test_a_process_uses_one_cpu_at_most() -> None:
    costs = Costs(server=1e-6, worker=100e-6, overhead=0.0)
    one = predict(Fleet(agents=50, rate=1.0, task_seconds=0.001, cores=8), costs)
    assert one.bottleneck == "CPU of worker processes"
    assert one.max_rate == pytest.approx(10_000.0)
    two = predict(Fleet(agents=100, rate=1.0, task_seconds=0.001, cores=8), costs)
    assert two.max_rate == pytest.approx(20_000.0)
