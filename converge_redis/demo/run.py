"""The main process: starts the fleet, kills one worker, and checks what comes out."""

import io
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from converge_redis.demo.comparison import analyse_alone
from converge_redis.demo.crew import Crew
from converge_redis.demo.display import make_display
from converge_redis.demo.fleet import Fleet, FleetError
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.server import run_server, server_version
from converge_redis.demo.source import NoSourcesError, Source, find_sources, standard_library
from converge_redis.demo.summary import Summary
from converge_redis.errors import ConvergeError
from converge_redis.pools.manager import PoolManager
from converge_redis.tasks.manager import TaskManager

_MOST_PROBLEMS = 20


def run_demo(path: Path | None, url: str | None) -> int:
    """Run the demonstration.

    Args:
        path: The folder of Python files, or one file; None: the standard library.
        url: The server to use; None: one is started.

    Returns:
        The exit code: 0 when every file is accounted for exactly once, 1 when not, 2 when there is no file,
        130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what a terminal cannot show
    signal.signal(signal.SIGTERM, _end)
    try:
        sources = find_sources(path or standard_library())
        with tempfile.TemporaryDirectory(prefix="converge-demo-") as folder:
            summary = _run(sources, url, RunFolder(Path(folder)))
    except NoSourcesError as error:
        print(f"converge-redis demo: {error}", file=sys.stderr)
        return 2
    except (ConvergeError, FleetError) as error:
        print(f"converge-redis demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; all processes have been ended", file=sys.stderr)
        return 130
    return _tell(summary)


def _end(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)  # the processes are ended on the way out


def _run(sources: list[Source], url: str | None, folder: RunFolder) -> Summary:
    with run_server(url) as (server_url, client, store), make_display() as display:
        version = server_version(client)
        display.tell(f"{version}, {len(sources)} files")
        crew = Crew(store, folder, sources, display)
        began = time.monotonic()
        with Fleet(server_url, folder) as fleet:
            crew.work(fleet)
            seconds = time.monotonic() - began
            crew.dismiss(fleet)
        violations = [*TaskManager(store).audit(), *PoolManager(store).audit()]
        began = time.monotonic()
        alone, alone_total = analyse_alone(
            sources, lambda done: display.show("checking in one process", done, len(sources), {})
        )
        finished, total = folder.read_collected()
        return Summary(
            server=version,
            processes=fleet.started,
            sources=sources,
            finished=finished,
            total=total,
            tally=crew.tally,
            held=crew.held,
            violations=[str(violation) for violation in violations],
            seconds=seconds,
            alone=alone,
            alone_total=alone_total,
            alone_seconds=time.monotonic() - began,
        )


def _tell(summary: Summary) -> int:
    print("", *summary.lines(), "", sep="\n")
    problems = summary.problems()
    if not problems:
        print("Every file is accounted for exactly once, and the fleet found what one process finds.")
        return 0
    for line in problems[:_MOST_PROBLEMS]:
        print(f"FAILED: {line}")
    if len(problems) > _MOST_PROBLEMS:
        print(f"FAILED: and {len(problems) - _MOST_PROBLEMS} more")
    return 1
