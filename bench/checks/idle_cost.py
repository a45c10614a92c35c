"""Check the cost of idle claimers to the server.

    python -m bench.checks.idle_cost [--claimers 1000] [--processes 4] [--seconds 20]

All claimers wait, and no task is submitted. The commands of INFO commandstats are counted, including those of
scripts. Exits with 1 unless there are less than 0.1 per second and claimer.
"""

import argparse
import sys
import time
from typing import Any

import redis

from bench.checks.waiting_claimers import waiting_claimers
from converge_redis import EmbeddedServer

TARGET = 0.1


def commands(client: redis.Redis) -> int:
    """Return the number of commands that the server has executed."""
    stats: Any = client.info("commandstats")
    return sum(entry["calls"] for entry in stats.values())


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claimers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with (
        EmbeddedServer() as server,
        redis.Redis.from_url(server.url) as client,
        waiting_claimers(server.url, options.claimers, options.processes),
    ):
        time.sleep(1)  # let the registrations settle
        before = commands(client)
        time.sleep(options.seconds)
        count = commands(client) - before - 1  # without the first INFO
    rate = count / options.seconds / options.claimers
    print(
        f"{options.claimers} idle claimers in {options.processes} processes: {count} commands in "
        f"{options.seconds:.0f} s, {rate:.4f} per second and claimer (target: less than {TARGET})"
    )
    return 0 if rate < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
