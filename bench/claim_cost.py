"""What does a claim cost, with few and with many tasks pending?

    python bench/claim_cost.py [--rounds 15] [--claims 100] [--most 1000000]

Fills one namespace for each case on an embedded server, then times `claim_next` in all of them in turn, round
by round. Prints the median time of a claim over the rounds, and its ratio to the smallest case.
"""

import argparse
import statistics
import time
from collections.abc import Callable

from converge_redis import EmbeddedServer, RedisStore, Task, TaskManager

ABLE = ["parse"]
OTHERS = 100_000
BATCH = 10_000


def fill(manager: TaskManager, number: int, make: Callable[[], Task]) -> None:
    """Submit tasks in batches, so that memory holds few of them."""
    for start in range(0, number, BATCH):
        manager.submit_many(make() for _ in range(min(BATCH, number - start)))


def open_task() -> Task:
    """Return a task that the agent may have."""
    return Task(objective="parse", inputs={"path": "x.py"}, topic="code", required_capabilities=ABLE)


def closed_task() -> Task:
    """Return a task of higher priority that the agent may not have."""
    return Task(objective="render", topic="code", required_capabilities=["gpu"], priority=10)


def time_claims(manager: TaskManager, claims: int) -> float:
    """Return the median seconds of a claim."""
    seconds = []
    for _ in range(claims):
        begun = time.perf_counter()
        claimed = manager.claim_next("agent", capabilities=ABLE, topics=["code"])
        seconds.append(time.perf_counter() - begun)
        if not claimed:
            raise RuntimeError("a namespace ran out of tasks: fewer rounds or claims, please")
    return statistics.median(seconds)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--claims", type=int, default=60, help="claims a round and case")
    parser.add_argument("--most", type=int, default=1_000_000, help="tasks in the largest case")
    options = parser.parse_args()
    sizes = {f"{number:,} pending": number for number in (1_000, 100_000, options.most)}
    name_with_others = f"1,000 pending, {OTHERS:,} of higher priority not for this agent"
    with EmbeddedServer() as server:
        managers = {
            name: TaskManager(RedisStore.from_url(server.url, namespace=name))
            for name in [*sizes, name_with_others]
        }
        for name, number in sizes.items():
            fill(managers[name], number, open_task)
        fill(managers[name_with_others], 1_000, open_task)
        fill(managers[name_with_others], OTHERS, closed_task)
        medians: dict[str, list[float]] = {name: [] for name in managers}
        for _ in range(options.rounds):
            for name, manager in managers.items():
                medians[name].append(time_claims(manager, options.claims))
                manager.submit_many(open_task() for _ in range(options.claims))
        base = next(iter(managers))
        print(f"{'case':60} {'µs a claim':>10} {'ratio':>6} {'spread':>13}")
        for name, values in medians.items():
            ratios = [value / first for value, first in zip(values, medians[base], strict=True)]
            spread = f"{min(ratios):.2f}-{max(ratios):.2f}"
            print(
                f"{name:60} {statistics.median(values) * 1e6:10.1f} "
                f"{statistics.median(ratios):6.2f} {spread:>13}"
            )


if __name__ == "__main__":
    main()
