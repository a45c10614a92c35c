"""Does exactly one of eight processes win a task that all of them claim at once?

    python bench/claim_race.py [--rounds 1000] [--processes 8]

In each round one task is submitted and its id told to all processes, which claim it by `claim`. Exits with 1
unless each round had one True, and False for all others.
"""

import argparse
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier

from converge_redis import EmbeddedServer, RedisStore, Task, TaskManager


def race(url: str, agent_id: str, barrier: Barrier, orders: Connection) -> None:
    """Claim each task that is named, together with the other processes; answer whether it was won."""
    with RedisStore.from_url(url) as store:
        manager = TaskManager(store)
        while (task_id := orders.recv()) is not None:
            barrier.wait()
            orders.send(manager.claim(agent_id, task_id))


def main() -> int:
    """Run the race; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=8)
    options = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    with EmbeddedServer() as server, RedisStore.from_url(server.url) as store:
        manager = TaskManager(store)
        barrier = context.Barrier(options.processes)
        pipes = [context.Pipe() for _ in range(options.processes)]
        processes = [
            context.Process(target=race, args=(server.url, f"agent-{number}", barrier, far), daemon=True)
            for number, (_, far) in enumerate(pipes)
        ]
        for process in processes:
            process.start()
        begun = time.perf_counter()
        wins: list[int] = []
        for _ in range(options.rounds):
            task_id = manager.submit(Task())
            for near, _ in pipes:
                near.send(task_id)
            wins.append(sum(near.recv() for near, _ in pipes))
        seconds = time.perf_counter() - begun
        for near, _ in pipes:
            near.send(None)
        for process in processes:
            process.join()
        violations = manager.audit()
        assigned = manager.counts()["assigned"]
    fair = wins.count(1) == options.rounds == assigned and not violations
    print(
        f"{options.rounds} rounds of {options.processes} processes in {seconds:.1f} s: "
        f"{wins.count(1)} with exactly one winner, {assigned} tasks assigned, {len(violations)} violations: "
        f"{'as promised' if fair else 'BROKEN'}"
    )
    return 0 if fair else 1


if __name__ == "__main__":
    sys.exit(main())
