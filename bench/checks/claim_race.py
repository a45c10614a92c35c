"""Check that exactly one of eight processes wins a task that all claim at the same time.

    python -m bench.checks.claim_race [--rounds 1000] [--processes 8]

In each round one task is submitted, and all processes call `claim` with its id. Exits with 1 unless in each
round one call returned True and all others False.
"""

import argparse
import multiprocessing
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from converge_redis import EmbeddedServer, RedisStore, Task, TaskManager


def race(url: str, agent_id: str, barrier: Barrier, pipe: Connection) -> None:
    """Claim each task id from the pipe together with the other processes; send whether it was won."""
    with RedisStore.from_url(url) as store:
        manager = TaskManager(store)
        while (task_id := pipe.recv()) is not None:
            barrier.wait()
            pipe.send(manager.claim(agent_id, task_id))


@dataclass
class Outcome:
    """The result of a race: the winners of each round, the assigned tasks, the violations of the audit."""

    winners: list[int]
    assigned: int
    violations: int
    seconds: float


def race_for_one(rounds: int, processes: int) -> Outcome:
    """Run a race for one task after the other."""
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server, RedisStore.from_url(server.url) as store:
        manager = TaskManager(store)
        barrier = context.Barrier(processes)
        pipes = [context.Pipe() for _ in range(processes)]
        racers = [
            context.Process(target=race, args=(server.url, f"agent-{number}", barrier, far), daemon=True)
            for number, (_, far) in enumerate(pipes)
        ]
        for racer in racers:
            racer.start()
        started = time.perf_counter()
        winners: list[int] = []
        for _ in range(rounds):
            task_id = manager.submit(Task())
            for near, _ in pipes:
                near.send(task_id)
            winners.append(sum(near.recv() for near, _ in pipes))
        seconds = time.perf_counter() - started
        for near, _ in pipes:
            near.send(None)
        for racer in racers:
            racer.join()
        return Outcome(winners, manager.counts()["assigned"], len(manager.audit()), seconds)


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    outcome = race_for_one(options.rounds, options.processes)
    won_once = outcome.winners.count(1)
    fair = won_once == options.rounds == outcome.assigned and not outcome.violations
    print(
        f"{options.rounds} rounds of {options.processes} processes in {outcome.seconds:.1f} s: {won_once} "
        f"with exactly one winner, {outcome.assigned} tasks assigned, {outcome.violations} violations: "
        f"{'passed' if fair else 'FAILED'}"
    )
    return 0 if fair else 1


if __name__ == "__main__":
    sys.exit(main())
