"""Predicting a fleet from what a task costs, and saying what saturates first.

The agents of a fleet are a queue with as many servers as there are agents: tasks arrive at random, and take
times that are spread exponentially, so the share that has to wait is Erlang's C formula (A. K. Erlang,
Solution of some problems in the theory of probabilities, 1917; L. Kleinrock, Queueing Systems 1, 1975,
section 3.5). The server of each shard, and the CPUs of the worker processes, are taken as busy for what each
task costs them.
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
    """What one task costs, in seconds.

    Attributes:
        server: Of the CPU of its shard's server, from submit to result.
        worker: Of the CPU of the worker process.
        overhead: What an agent waits for the server between two tasks.
    """

    server: float
    worker: float
    overhead: float


@dataclass(frozen=True)
class Fleet:
    """A fleet.

    Attributes:
        agents: How many tasks are worked on at a time.
        rate: Tasks that are submitted a second.
        task_seconds: The mean time that a task takes.
        shards: Servers that share the tasks.
        cores: CPUs that the worker processes have; each process uses one at most.
    """

    agents: int
    rate: float
    task_seconds: float
    shards: int = 1
    cores: int = 1

    @property
    def processes(self) -> int:
        """Worker processes."""
        return -(-self.agents // AGENTS_PER_PROCESS)


@dataclass(frozen=True)
class Prediction:
    """What to expect.

    Attributes:
        agents_busy: The share of the agents that work, from 0 to 1; above 1: too few.
        server_busy: The share of each shard's server.
        workers_busy: The share of the CPUs of worker processes.
        throughput: Tasks done a second.
        wait_seconds: The mean time from submit to the claim; infinite when something saturates.
        first: What saturates first when the rate grows.
        most: The rate at which it does.
    """

    agents_busy: float
    server_busy: float
    workers_busy: float
    throughput: float
    wait_seconds: float
    first: str
    most: float


def erlang_c(servers: int, load: float) -> float:
    """Return the share of arrivals that have to wait.

    Args:
        servers: How many serve at a time.
        load: Arrivals a second, times the seconds that each takes; below `servers`.
    """
    blocked = 1.0  # Erlang's B by its recursion, which does not overflow
    for number in range(1, servers + 1):
        blocked = load * blocked / (number + load * blocked)
    busy = load / servers
    return blocked / (1 - busy * (1 - blocked))


def predict(fleet: Fleet, costs: Costs) -> Prediction:
    """Predict a fleet."""
    each = fleet.task_seconds + costs.overhead
    cpus = min(fleet.cores, fleet.processes)
    limits = {
        "agents": fleet.agents / each,
        "server": fleet.shards / costs.server,
        "CPU of worker processes": cpus / costs.worker,
    }
    first = min(limits, key=lambda name: limits[name])
    throughput = min(fleet.rate, limits[first])
    wait = float("inf")
    if fleet.rate < limits[first]:
        load = fleet.rate * each
        wait = erlang_c(fleet.agents, load) * each / (fleet.agents - load) + costs.overhead
    return Prediction(
        fleet.rate / limits["agents"],
        fleet.rate / limits["server"],
        fleet.rate / limits["CPU of worker processes"],
        throughput,
        wait,
        first,
        limits[first],
    )


def measure_costs(settings: Settings) -> Costs:
    """Measure what a task costs: the wait of tasks that come one by one, the CPU of tasks that come fast.

    A fleet that saturates works on many tasks together, which costs less for each than one by one.
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
        overhead = (time.perf_counter() - began) / SINGLE_TASKS / 2  # the other half is the submitter's
        cpu, used = server.cpu_seconds(), _cpu_of(process.pid)
        ids = [manager.submit(Task(inputs={"number": number})) for number in range(FAST_TASKS)]
        manager.wait_all(ids, 60.0)
        return Costs(
            (server.cpu_seconds() - cpu) / FAST_TASKS, (_cpu_of(process.pid) - used) / FAST_TASKS, overhead
        )


@dataclass(frozen=True)
class Measured:
    """What a fleet has done: tasks a second, and the mean seconds from submit to the claim."""

    throughput: float
    wait_seconds: float


def run_fleet(fleet: Fleet, seconds: float, settings: Settings) -> Measured:
    """Run a fleet for some seconds on this machine, with tasks that sleep, and measure it."""
    with (
        settings.server() as server,
        _workers(server.url, fleet.processes, fleet.agents, fleet.task_seconds),
    ):
        return asyncio.run(_submit(server.url, fleet, seconds))


async def _submit(url: str, fleet: Fleet, seconds: float) -> Measured:
    async with AsyncRedisStore.from_url(url, claim_ttl_sec=30.0) as store:
        manager = AsyncTaskManager(store)
        await manager.wait_until_done(await manager.submit(Task(inputs={"number": 0})), 30.0)
        await asyncio.sleep(1.0)  # all processes are there
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
        return Measured(done / took, sum(waits) / max(1, len(waits)))


@contextlib.contextmanager
def _workers(
    url: str, processes: int, agents: int, task_seconds: float
) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Start the worker processes of a fleet; they are ended with the block."""
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
    """Return a prediction in words."""
    wait = (
        "grows without end" if prediction.wait_seconds == float("inf") else f"{prediction.wait_seconds:.4f} s"
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
            f"  saturates first        {prediction.first}, at {prediction.most:,.0f} tasks/s",
        ]
    )


def verify(costs: Costs, settings: Settings, seconds: float) -> list[dict[str, Any]]:
    """Hold predictions against two real fleets: one that keeps up, one that does not."""
    found = []
    for fleet in (Fleet(20, 300.0, 0.05), Fleet(20, 600.0, 0.05)):
        prediction = predict(fleet, costs)
        measured = run_fleet(fleet, seconds, settings)
        found.append({"fleet": asdict(fleet), "predicted": asdict(prediction), "measured": asdict(measured)})
    return found


def _be_worker(url: str, agents: int, task_seconds: float) -> None:
    async def handle(task: Task) -> int:
        if task_seconds:
            await asyncio.sleep(random.expovariate(1 / task_seconds))
        number: int = task.inputs["number"]
        return number

    store = RedisStore.from_url(url, claim_ttl_sec=30.0)
    Worker(store, "worker", handle, concurrency=agents).run()


if __name__ == "__main__":
    _be_worker(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
