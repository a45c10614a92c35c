"""What do idle claimers cost the server?

    python -m bench.checks.idle_cost [--claimers 1000] [--processes 4] [--seconds 20]

All claimers wait for work, and none comes. Counted are all commands of INFO commandstats, those inside
scripts too. Exits with 1 unless there is less than 0.1 a second for each claimer.
"""

import argparse
import sys
import time
from typing import Any

import redis

from bench.checks.crowd import crowd
from converge_redis import EmbeddedServer

TARGET = 0.1


def commands(client: redis.Redis) -> int:
    """Count all commands that the server has carried out."""
    stats: Any = client.info("commandstats")
    return sum(entry["calls"] for entry in stats.values())


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claimers", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    options = parser.parse_args()
    with (
        EmbeddedServer() as server,
        redis.Redis.from_url(server.url) as client,
        crowd(server.url, options.claimers, options.processes),
    ):
        time.sleep(1)  # what the registrations have set off has come to rest
        before = commands(client)
        time.sleep(options.seconds)
        counted = commands(client) - before - 1  # one INFO is among them
    rate = counted / options.seconds / options.claimers
    print(
        f"{options.claimers} idle claimers in {options.processes} processes: {counted} commands in "
        f"{options.seconds:.0f} s, {rate:.4f} a second for each (target: below {TARGET})"
    )
    return 0 if rate < TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
