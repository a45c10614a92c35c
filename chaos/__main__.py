"""Test the guarantees of a fleet under faults.

    scripts/chaos [--seed N] [--tasks 20000] [--seconds-limit 300] [--fsync always|everysec|both]

Workers, submitters and waiters in several processes use a real server through a proxy, while faults are
injected in an order that depends on the seed. All calls are recorded. At the end the history of each task
must be linearizable, and no acknowledged call may be lost. Exits with 1 on any violation.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from chaos.round import Plan, Round, RoundResult
from converge_redis.server.embedded import AppendFsync

OVERHEAD_SECONDS = 25.0
"""Seconds of a round without faults: the start, the drain and the check."""

TASKS_PER_SECOND = 150.0
MAX_SHOWN = 10


def main() -> int:
    """Run the rounds; return the exit code."""
    options = _options()
    modes: list[AppendFsync] = ["always", "everysec"] if options.fsync == "both" else [options.fsync]
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()
    results: list[RoundResult] = []
    for number, fsync in enumerate(modes):
        left = began + options.seconds_limit - time.monotonic()
        tasks = options.tasks // len(modes) + (options.tasks % len(modes) if number == 0 else 0)
        limit = max(5.0, left / (len(modes) - number) - OVERHEAD_SECONDS)
        seconds = min(tasks / TASKS_PER_SECOND, limit * 0.8)
        plan = Plan(f"{options.seed}/{fsync}", tasks, seconds, limit, fsync, options.workers, folder / fsync)
        print(f"appendfsync {fsync}: {tasks} tasks in at least {seconds:.0f} s …", flush=True)
        result = Round(plan).run()
        _show(result)
        results.append(result)
    return _conclude(options.seed, results, time.monotonic() - began, folder, keep=options.keep)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1_000_000), help="seed of all choices (default: random)"
    )
    parser.add_argument("--tasks", type=int, default=20_000, help="number of tasks (default: 20000)")
    parser.add_argument(
        "--seconds-limit", type=float, default=300.0, help="most seconds of the whole run (default: 300)"
    )
    parser.add_argument(
        "--fsync",
        choices=["always", "everysec", "both"],
        default="both",
        help="the server's appendfsync; both: half of the tasks each (default: both)",
    )
    parser.add_argument("--workers", type=int, default=6, help="worker processes (default: 6)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the histories and logs also without violations"
    )
    return parser.parse_args()


def _show(result: RoundResult) -> None:
    for title, counts in (("faults", result.faults), ("counts", result.counts)):
        print(f"  {title}")
        for name, count in sorted(counts.items()):
            print(f"    {count:7d}  {name}")
    print(f"  {len(result.violations)} violations", flush=True)


def _conclude(seed: int, results: list[RoundResult], seconds: float, folder: Path, *, keep: bool) -> int:
    violations = [violation for result in results for violation in result.violations]
    counts: Counter[str] = sum((result.counts for result in results), Counter())
    faults: Counter[str] = sum((result.faults for result in results), Counter())
    for violation in violations[:MAX_SHOWN]:
        print(f"VIOLATION {violation.kind} {violation.task_id}: {violation.detail}")
    kinds = Counter(violation.kind for violation in violations)
    print(
        f"seed {seed}: {counts['tasks']} tasks, {counts['claims']} claims, "
        f"{counts['reports accepted']} reports accepted, {faults.total()} faults of {len(faults)} kinds "
        f"in {seconds:.0f} s: " + (f"VIOLATIONS: {dict(kinds)}" if violations else "no violations")
    )
    if violations or keep:
        print(f"the histories and logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
