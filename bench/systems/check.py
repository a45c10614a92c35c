"""Does every system work? For each: some tasks, one worker, some results.

python -m bench.systems.check [name …]
"""

import sys
import time

from bench.systems.peers import SYSTEMS
from bench.systems.session import Session, SystemFailedError
from converge_redis import EmbeddedServer

SINGLE, BULK, LATENCIES = 50, 200, 20


def check(name: str) -> str:
    """Try one system; return what to print."""
    with EmbeddedServer(port=0) as server, Session(SYSTEMS[name], server.url) as session:
        single = session.ask("submit", first=0, count=SINGLE)
        bulk = session.ask("submit_bulk", first=SINGLE, count=BULK)
        tasks = SINGLE + (BULK if bulk is not None else 0)
        with session.workers(1, tasks + LATENCIES) as marks:
            ends = time.monotonic() + 30
            while session.ask("finished") != tasks:
                if time.monotonic() > ends:
                    raise SystemFailedError(
                        f"{name}: {session.ask('finished')} of {tasks} finished, {marks.handled()} handled"
                    )
                time.sleep(0.05)
            seconds = session.ask("latencies", first=tasks, count=LATENCIES, pause=0.0)
            marks.wait_all()
        return (
            f"{name:16} {SINGLE / single:8.0f}/s  {BULK / bulk if bulk else 0:8.0f}/s in bulk  "
            f"{sorted(seconds)[LATENCIES // 2] * 1e3:7.2f} ms  {session.ask('versions')}"
        )


def main() -> int:
    """Check the systems that the command line names, or all."""
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
