"""Measure what imports cost, relative to the imports of the dependencies; exit with 1 above the limits.

python -m bench.checks.import_cost [--rounds N]
"""

import argparse
import statistics
import subprocess
import sys

DEPENDENCIES = "import redis, redis.asyncio, msgpack; from pydantic import BaseModel"
LIMITS = {
    "import converge_redis": 1.0,
    "from converge_redis import TaskManager, Task, RedisStore": 1.5,
    "from converge_redis import AsyncTaskManager, Task, AsyncRedisStore": 1.5,
}


def cpu_seconds(statement: str) -> float:
    """Return the CPU time of a new process that executes a statement."""
    code = f"{statement}; import time; print(time.process_time())"
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return float(printed)


def main() -> int:
    """Measure in interleaved rounds, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[float]] = {statement: [] for statement in (DEPENDENCIES, *LIMITS)}
    for _ in range(rounds + 1):  # the first round compiles
        for statement, seconds in measured.items():
            seconds.append(cpu_seconds(statement))
    medians = {statement: statistics.median(seconds[1:]) for statement, seconds in measured.items()}
    print(f"{medians[DEPENDENCIES] * 1000:6.0f} ms  1.00  {DEPENDENCIES}")
    failed = 0
    for statement, limit in LIMITS.items():
        ratio = medians[statement] / medians[DEPENDENCIES]
        failed |= ratio > limit
        print(f"{medians[statement] * 1000:6.0f} ms  {ratio:.2f}  {statement} (limit {limit})")
    return failed


if __name__ == "__main__":
    sys.exit(main())
