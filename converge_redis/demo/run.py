"""The main process: starts the fleet, kills one worker, and checks the results."""

import io
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from converge_redis.demo.comparison import analyse_in_one_process
from converge_redis.demo.display import make_display
from converge_redis.demo.fleet import Fleet, FleetError
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.server import run_server, server_version
from converge_redis.demo.source import NoSourcesError, Source, find_sources, standard_library
from converge_redis.demo.summary import Summary
from converge_redis.demo.supervisor import Supervisor
from converge_redis.errors import ConvergeError
from converge_redis.pools.manager import PoolManager
from converge_redis.tasks.manager import TaskManager

_MAX_PROBLEMS_SHOWN = 20


def run_demo(path: Path | None, url: str | None) -> int:
    """Run the demo.

    Args:
        path: The folder of Python files, or one file; None: the standard library.
        url: The server to use; None: start an embedded server.

    Returns:
        The exit code: 0 when every check passes, 1 when one fails, 2 when there is no file, 130 after Ctrl-C.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what a terminal cannot show
    signal.signal(signal.SIGTERM, _exit)
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
        print("interrupted; all processes have been stopped", file=sys.stderr)
        return 130
    return _print(summary)


def _exit(number: int, _frame: object) -> NoReturn:
    sys.exit(128 + number)  # the context managers end the processes


def _run(sources: list[Source], url: str | None, folder: RunFolder) -> Summary:
    with run_server(url) as (server_url, client, store), make_display() as display:
        version = server_version(client)
        display.log(f"{version}, {len(sources)} files")
        supervisor = Supervisor(store, folder, sources, display)
        began = time.monotonic()
        with Fleet(server_url, folder) as fleet:
            supervisor.run(fleet)
            seconds = time.monotonic() - began
            supervisor.stop_workers(fleet)
        violations = [*TaskManager(store).audit(), *PoolManager(store).audit()]
        began = time.monotonic()
        expected, expected_total = analyse_in_one_process(
            sources, lambda done: display.show("checking in one process", done, len(sources), {})
        )
        finished, total = folder.read_collected()
        return Summary(
            server=version,
            processes=fleet.started,
            sources=sources,
            finished=finished,
            total=total,
            journals=supervisor.journals,
            killed_workers=supervisor.killed_workers,
            held_by_victim=supervisor.held_by_victim,
            violations=[str(violation) for violation in violations],
            seconds=seconds,
            expected=expected,
            expected_total=expected_total,
            expected_seconds=time.monotonic() - began,
        )


def _print(summary: Summary) -> int:
    print("", *summary.lines(), "", sep="\n")
    problems = summary.problems()
    if not problems:
        print("Every file has exactly one accepted result, and all results equal those of one process.")
        return 0
    for line in problems[:_MAX_PROBLEMS_SHOWN]:
        print(f"FAILED: {line}")
    if len(problems) > _MAX_PROBLEMS_SHOWN:
        print(f"FAILED: and {len(problems) - _MAX_PROBLEMS_SHOWN} more")
    return 1
