"""Check that claimers that were killed while they waited do not delay later ones.

    python -m bench.checks.dead_claimers [--dead 300]

A process with many waiting claimers is killed with SIGKILL. Then tasks are submitted, one by one, while three
claimers of another process wait. Exits with 1 unless each task is claimed, and the first submit removes all
killed claimers from the queue.
"""

import argparse
import sys
import time

import redis

from bench.checks.waiting_claimers import count_waiting, waiting_claimers
from converge_redis import EmbeddedServer, RedisStore, Task, TaskManager

LIVE = 3
TIMEOUT_SECONDS = 20.0


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--dead", type=int, default=300)
    options = parser.parse_args()
    passed = True
    with (
        EmbeddedServer() as server,
        redis.Redis.from_url(server.url) as client,
        RedisStore.from_url(server.url) as store,
    ):
        manager = TaskManager(store)
        with waiting_claimers(server.url, options.dead, 1):
            pass  # they are killed after the block
        left = count_waiting(client)
        with waiting_claimers(server.url, LIVE, 1, already_waiting=left) as processes:
            for number in range(LIVE):
                started = time.monotonic_ns()
                manager.submit(Task())
                passed &= processes[0].pipe.poll(TIMEOUT_SECONDS)
                _, claimed_at = processes[0].pipe.recv()
                print(
                    f"task {number + 1}: claimed after {(claimed_at - started) / 1e6:.2f} ms, queued now: "
                    f"{count_waiting(client)}"
                )
                passed &= count_waiting(client) == LIVE - 1 - number
    print(f"{left} killed claimers were queued: {'all removed by one submit' if passed else 'FAILED'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
