"""Check that every system works, with some tasks and one worker.

python -m bench.systems.check [NAME …]
"""

import sys
import time

from bench.systems.peers import SYSTEMS
from bench.systems.session import Session, SystemFailedError
from converge_redis import EmbeddedServer

SINGLE, BULK, LATENCIES = 50, 200, 20


def check(name: str) -> str:
    """Check a system; return a line with its results."""
    with EmbeddedServer(port=0) as server, Session(SYSTEMS[name], server.url) as session:
        single = session.call("submit", first=0, count=SINGLE)
        bulk = session.call("submit_bulk", first=SINGLE, count=BULK)
        tasks = SINGLE + (BULK if bulk is not None else 0)
        with session.workers(1, tasks + LATENCIES) as marks:
            deadline = time.monotonic() + 30
            while session.call("finished") != tasks:
                if time.monotonic() > deadline:
                    raise SystemFailedError(
                        f"{name}: {session.call('finished')} of {tasks} finished, {marks.handled()} handled"
                    )
                time.sleep(0.05)
            seconds = session.call("latencies", first=tasks, count=LATENCIES, pause=0.0)
            marks.wait_all()
        return (
            f"{name:16} {SINGLE / single:8.0f}/s  {BULK / bulk if bulk else 0:8.0f}/s in bulk  "
            f"{sorted(seconds)[LATENCIES // 2] * 1e3:7.2f} ms  {session.call('versions')}"
        )


def main() -> int:
    """Check the systems named on the command line, or all; return the exit code."""
    failed = 0
    for name in sys.argv[1:] or SYSTEMS:
        try:
            print(check(name), flush=True)
        except SystemFailedError as error:
            failed += 1
            print(f"{name:16} FAILED: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
