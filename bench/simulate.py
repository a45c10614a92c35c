"""The simulation: predicts the load of a fleet from the cost of a task, and what saturates first.

The agents of a fleet are an M/M/c queue: tasks arrive at random and have exponentially distributed durations.
So Erlang's C formula gives the share of tasks that wait (A. K. Erlang, Solution of some problems in the
theory of probabilities, 1917; L. Kleinrock, Queueing Systems 1, 1975, section 3.5). The load of each shard's
server and of the CPUs of worker processes is the rate of tasks times their cost.
"""

import asyncio
import contextlib
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from bench.questions.question import Settings
from converge_redis import AsyncRedisStore, AsyncTaskManager, RedisStore, Task, TaskManager, Worker

SINGLE_TASKS, FAST_TASKS = 1000, 20_000
AGENTS_PER_PROCESS = 50


@dataclass(frozen=True)
class Costs:
    """The cost of one task, in seconds.

    Attributes:
        server: CPU time of its shard's server, from submit to result.
        worker: CPU time of the worker process.
        overhead: The time for which an agent waits for the server between two tasks.
    """

    server: float
    worker: float
    overhead: float


@dataclass(frozen=True)
class Fleet:
    """A fleet.

    Attributes:
        agents: Tasks in progress at the same time.
        rate: Tasks submitted per second.
        task_seconds: Mean seconds per task.
        shards: Servers that share the tasks.
        cores: CPUs of the worker processes; each process uses at most one.
    """

    agents: int
    rate: float
    task_seconds: float
    shards: int = 1
    cores: int = 1

    @property
    def processes(self) -> int:
        """The number of worker processes."""
        return -(-self.agents // AGENTS_PER_PROCESS)


@dataclass(frozen=True)
class Prediction:
    """The prediction for a fleet.

    Attributes:
        agents_busy: The load of the agents; above 1: saturated.
        server_busy: The load of each shard's server.
        workers_busy: The load of the CPUs of the worker processes.
        throughput: Tasks done per second.
        wait_seconds: Mean seconds from submit to claim; infinite when something saturates.
        bottleneck: The resource that saturates first when the rate grows.
        max_rate: The rate at which it saturates.
    """

    agents_busy: float
    server_busy: float
    workers_busy: float
    throughput: float
    wait_seconds: float
    bottleneck: str
    max_rate: float


def erlang_c(servers: int, load: float) -> float:
    """Return the share of arrivals that wait.

    Args:
        servers: The number of servers.
        load: Arrivals per second times seconds per arrival; less than `servers`.
    """
    blocked = 1.0  # Erlang B by recursion, which does not overflow
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    busy = load / servers
    return blocked / (1 - busy * (1 - blocked))


def predict(fleet: Fleet, costs: Costs) -> Prediction:
    """Predict the load of a fleet."""
    seconds_per_task = fleet.task_seconds + costs.overhead
    cpus = min(fleet.cores, fleet.processes)
    limits = {
        "agents": fleet.agents / seconds_per_task,
        "server": fleet.shards / costs.server,
        "CPU of worker processes": cpus / costs.worker,
    }
    bottleneck = min(limits, key=lambda name: limits[name])
    throughput = min(fleet.rate, limits[bottleneck])
    wait = float("inf")
    if fleet.rate < limits[bottleneck]:
        load = fleet.rate * seconds_per_task
        wait = erlang_c(fleet.agents, load) * seconds_per_task / (fleet.agents - load) + costs.overhead
    return Prediction(
        fleet.rate / limits["agents"],
        fleet.rate / limits["server"],
        fleet.rate / limits["CPU of worker processes"],
        throughput,
        wait,
        bottleneck,
        limits[bottleneck],
    )


def measure_costs(settings: Settings) -> Costs:
    """Measure the cost of a task: the overhead with single tasks, the CPU times with many tasks.

    A saturated fleet handles tasks in batches, which cost less per task than single ones.
    """
    with (
        settings.server() as server,
        RedisStore.from_url(server.url, claim_ttl_sec=30.0) as store,
        _workers(server.url, 1, AGENTS_PER_PROCESS, 0.0) as (process,),
    ):
        manager = TaskManager(store)
        manager.wait(manager.submit(Task(inputs={"number": 0})), 30.0)
        began = time.perf_counter()
        for number in range(SINGLE_TASKS):
            manager.submit_and_wait(Task(inputs={"number": number}), 30.0)
        overhead = (time.perf_counter() - began) / SINGLE_TASKS / 2  # the submitter waits for the other half
        cpu, used = server.cpu_seconds(), _cpu_of(process.pid)
        ids = [manager.submit(Task(inputs={"number": number})) for number in range(FAST_TASKS)]
        manager.wait_all(ids, 60.0)
        return Costs(
            (server.cpu_seconds() - cpu) / FAST_TASKS, (_cpu_of(process.pid) - used) / FAST_TASKS, overhead
        )


@dataclass(frozen=True)
class FleetMeasurement:
    """The measurement of a fleet: tasks per second, and mean seconds from submit to claim."""

    throughput: float
    wait_seconds: float


def run_fleet(fleet: Fleet, seconds: float, settings: Settings) -> FleetMeasurement:
    """Measure a fleet on this machine for some seconds, with tasks that sleep."""
    with (
        settings.server() as server,
        _workers(server.url, fleet.processes, fleet.agents, fleet.task_seconds),
    ):
        return asyncio.run(_submit(server.url, fleet, seconds))


async def _submit(url: str, fleet: Fleet, seconds: float) -> FleetMeasurement:
    async with AsyncRedisStore.from_url(url, claim_ttl_sec=30.0) as store:
        manager = AsyncTaskManager(store)
        await manager.wait_until_done(await manager.submit(Task(inputs={"number": 0})), 30.0)
        await asyncio.sleep(1.0)  # until all worker processes have started
        ids: list[str] = []
        before = (await manager.counts())["completed"]
        began = due = time.monotonic()
        while due < began + seconds:
            due += random.expovariate(fleet.rate)
            if due > time.monotonic():
                await asyncio.sleep(due - time.monotonic())
            ids.append(await manager.submit(Task(inputs={"number": len(ids)})))
        done = (await manager.counts())["completed"] - before
        took = time.monotonic() - began
        tasks = await manager.get_tasks(ids)
        waits = [
            task.claimed_at - task.submitted_at
            for task in tasks
            if task is not None and task.claimed_at is not None and task.submitted_at is not None
        ]
        return FleetMeasurement(done / took, sum(waits) / max(1, len(waits)))


@contextlib.contextmanager
def _workers(
    url: str, processes: int, agents: int, task_seconds: float
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Start the worker processes of a fleet, and end them after the block."""
    command = [sys.executable, "-m", "bench.simulate", url, str(agents // processes), str(task_seconds)]
    started = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait()


def _cpu_of(pid: int) -> float:
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def table(fleet: Fleet, prediction: Prediction) -> str:
    """Return a prediction as lines of text."""
    wait = (
        "grows without limit"
        if prediction.wait_seconds == float("inf")
        else f"{prediction.wait_seconds:.4f} s"
    )
    return "\n".join(
        [
            f"{fleet.agents} agents in {fleet.processes} processes on {fleet.cores} CPUs, "
            f"{fleet.rate:,.0f} tasks/s of {fleet.task_seconds} s, {fleet.shards} shard(s):",
            f"  agents busy            {prediction.agents_busy:8.1%}",
            f"  server busy, each      {prediction.server_busy:8.1%}",
            f"  CPU of workers busy    {prediction.workers_busy:8.1%}",
            f"  tasks done             {prediction.throughput:8,.0f}/s",
            f"  wait for an agent      {wait}",
            f"  saturates first        {prediction.bottleneck}, at {prediction.max_rate:,.0f} tasks/s",
        ]
    )


def verify(costs: Costs, settings: Settings, seconds: float) -> list[dict[str, Any]]:
    """Compare predictions with two real fleets: one that keeps up, and one that does not."""
    outcomes = []
    for fleet in (Fleet(20, 300.0, 0.05), Fleet(20, 600.0, 0.05)):
        prediction = predict(fleet, costs)
        measured = run_fleet(fleet, seconds, settings)
        outcomes.append(
            {"fleet": asdict(fleet), "predicted": asdict(prediction), "measured": asdict(measured)}
        )
    return outcomes


def _run_worker(url: str, agents: int, task_seconds: float) -> None:
    async def handle(task: Task) -> int:
        if task_seconds:
            await asyncio.sleep(random.expovariate(1 / task_seconds))
        number: int = task.inputs["number"]
        return number

    store = RedisStore.from_url(url, claim_ttl_sec=30.0)
    Worker(store, "worker", handle, concurrency=agents).run()


if __name__ == "__main__":
    _run_worker(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
