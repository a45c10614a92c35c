"""Check that the server's memory stops growing under a constant load.

    python -m bench.checks.memory_plateau [--rate 200] [--retention 2] [--seconds 60]

Tasks are submitted, claimed and reported at a steady rate; finished tasks are kept for `--retention` seconds.
Prints used_memory each second. Exits with 1 unless it is flat after the first ten seconds: the mean of the
last ten seconds is within 2 % of the mean of seconds 11 to 20.
"""

import argparse
import statistics
import sys
import time

import redis

from converge_redis import EmbeddedServer, RedisStore, Task, TaskManager

SETTLE_SECONDS = 10
SPAN = 10
TOLERANCE = 0.02
PAYLOAD = {"text": "x" * 200}


def main() -> int:
    """Run the check; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rate", type=int, default=200, help="tasks per second")
    parser.add_argument("--retention", type=float, default=2.0, help="seconds")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    if options.seconds < SETTLE_SECONDS + 2 * SPAN:
        parser.error(f"--seconds must be at least {SETTLE_SECONDS + 2 * SPAN}")
    with (
        EmbeddedServer() as server,
        redis.Redis.from_url(server.url) as client,
        RedisStore.from_url(server.url, retention_sec=options.retention) as store,
    ):
        manager = TaskManager(store)
        series = []
        done = 0
        began = time.monotonic()
        for second in range(options.seconds):
            for number in range(options.rate):
                ahead = began + second + number / options.rate - time.monotonic()
                if ahead > 0:
                    time.sleep(ahead)
                manager.submit(Task(inputs=PAYLOAD))
                for task in manager.claim_next("agent"):
                    manager.report("agent", task.id, PAYLOAD, claim_token=task.claim_token)
                    done += 1
            series.append(int(client.info("memory")["used_memory"]))
            print(f"{second + 1:3d} s  {series[-1] / 1024:8.0f} KiB  {client.dbsize():5d} keys", flush=True)
        seconds = time.monotonic() - began
    early = statistics.mean(series[SETTLE_SECONDS : SETTLE_SECONDS + SPAN])
    late = statistics.mean(series[-SPAN:])
    flat = abs(late / early - 1) <= TOLERANCE
    print(
        f"{done} tasks in {seconds:.1f} s; mean of seconds {SETTLE_SECONDS + 1} to {SETTLE_SECONDS + SPAN}: "
        f"{early / 1024:.0f} KiB, of the last {SPAN}: {late / 1024:.0f} KiB, ratio {late / early:.4f}: "
        + ("flat" if flat else "NOT FLAT")
    )
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
