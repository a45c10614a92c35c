"""Does a fleet keep its promises while everything around it breaks?

    scripts/chaos [--seed N] [--tasks 20000] [--seconds-limit 300] [--fsync always|everysec|both]

A real server, workers, submitters and waiters in processes of their own, a proxy between them, and faults in
an order that the seed decides. All calls are recorded; at the end the history of each task must be
linearizable, and nothing acknowledged may be lost. Exits with 1 on any violation.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from chaos.round import Account, Plan, Round
from converge_redis.server.embedded import AppendFsync

OTHER_SECONDS = 25.0
"""What a round takes besides faults: the start, the drain and the checker."""

TASKS_PER_SECOND = 150.0
MOST_SHOWN = 10


def main() -> int:
    """Run the rounds; return the exit code."""
    options = _options()
    modes: list[AppendFsync] = ["always", "everysec"] if options.fsync == "both" else [options.fsync]
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    began = time.monotonic()
    accounts: list[Account] = []
    for number, fsync in enumerate(modes):
        left = began + options.seconds_limit - time.monotonic()
        tasks = options.tasks // len(modes) + (options.tasks % len(modes) if number == 0 else 0)
        limit = max(5.0, left / (len(modes) - number) - OTHER_SECONDS)
        seconds = min(tasks / TASKS_PER_SECOND, limit * 0.8)
        plan = Plan(f"{options.seed}/{fsync}", tasks, seconds, limit, fsync, options.workers, folder / fsync)
        print(f"appendfsync {fsync}: {tasks} tasks in {seconds:.0f} s and more …", flush=True)
        account = Round(plan).run()
        _show(account)
        accounts.append(account)
    return _conclude(options.seed, accounts, time.monotonic() - began, folder, keep=options.keep)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="scripts/chaos", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="default: any")
    parser.add_argument("--tasks", type=int, default=20_000)
    parser.add_argument("--seconds-limit", type=float, default=300.0)
    parser.add_argument("--fsync", choices=["always", "everysec", "both"], default="both")
    parser.add_argument("--workers", type=int, default=6, help="worker processes (default: 6)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the histories and logs also when all is well"
    )
    return parser.parse_args()


def _show(account: Account) -> None:
    for title, counts in (("faults", account.faults), ("counts", account.counts)):
        print(f"  {title}")
        for name, count in sorted(counts.items()):
            print(f"    {count:7d}  {name}")
    print(f"  {len(account.violations)} violations", flush=True)


def _conclude(seed: int, accounts: list[Account], seconds: float, folder: Path, *, keep: bool) -> int:
    violations = [violation for account in accounts for violation in account.violations]
    counts: Counter[str] = sum((account.counts for account in accounts), Counter())
    faults: Counter[str] = sum((account.faults for account in accounts), Counter())
    for violation in violations[:MOST_SHOWN]:
        print(f"VIOLATION {violation.kind} {violation.task_id}: {violation.detail}")
    kinds = Counter(violation.kind for violation in violations)
    print(
        f"seed {seed}: {counts['tasks']} tasks, {counts['claims']} claims, "
        f"{counts['reports accepted']} reports accepted, {faults.total()} faults of {len(faults)} kinds "
        f"in {seconds:.0f} s: " + (f"BROKEN: {dict(kinds)}" if violations else "as promised")
    )
    if violations or keep:
        print(f"the histories and logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
