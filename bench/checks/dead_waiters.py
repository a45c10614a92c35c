"""What do claimers that were killed while they waited cost those who come after?

    python -m bench.checks.dead_waiters [--dead 300]

A process with many waiting claimers ends by SIGKILL. Then tasks are submitted, one by one, for three
claimers of another process. Exits with 1 unless each is claimed by a live one, and one submit has removed
all of the dead.
"""

import argparse
import sys
import time

import redis

from bench.checks.crowd import crowd, waiting
from converge_redis import EmbeddedServer, RedisStore, Task, TaskManager

LIVE = 3
PATIENCE_SECONDS = 20.0


def main() -> int:
    """Measure; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dead", type=int, default=300)
    options = parser.parse_args()
    good = True
    with (
        EmbeddedServer() as server,
        redis.Redis.from_url(server.url) as client,
        RedisStore.from_url(server.url) as store,
    ):
        manager = TaskManager(store)
        with crowd(server.url, options.dead, 1):
            pass  # killed at the end
        left = waiting(client)
        with crowd(server.url, LIVE, 1, others=left) as members:
            for number in range(LIVE):
                begun = time.monotonic_ns()
                manager.submit(Task())
                good &= members[0].pipe.poll(PATIENCE_SECONDS)
                _, claimed_at = members[0].pipe.recv()
                print(
                    f"task {number + 1}: claimed after {(claimed_at - begun) / 1e6:.2f} ms, queued now: "
                    f"{waiting(client)}"
                )
                good &= waiting(client) == LIVE - 1 - number
    print(f"{left} places of the dead were left; {'all gone after one submit' if good else 'BROKEN'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
