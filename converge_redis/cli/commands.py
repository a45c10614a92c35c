"""The commands of ``converge-redis``; each imports what it needs itself, so that ``--help`` stays quick."""

import contextlib
import os
import signal
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from converge_redis.server.embedded import AppendFsync

_CHECK_SECONDS = 0.5  # how often to check that the server and the parent process still run


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        click.echo(f"converge-redis {version('converge-redis')}")
    except PackageNotFoundError:
        click.echo("converge-redis, run from its sources without being installed")
    context.exit()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Fleets of agents share tasks, claims and pools through Redis or Valkey."""


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free one",
    help="TCP port of 127.0.0.1 to listen on.",
)
@click.option(
    "--socket-only", is_flag=True, help="OnListener on a unix socket that only you can open, and not on TCP."
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep the data in this folder. Without it, the data is lost when the server stops.",
)
@click.option(
    "--appendfsync",
    type=click.Choice(["everysec", "always"]),
    default="everysec",
    show_default=True,
    help="When the data in --data-dir is flushed to disk.",
)
@click.option(
    "--with-parent/--outlive-parent",
    default=True,
    show_default=True,
    help="Whether to stop when the process that ran this command has ended.",
)
def server(port: int, socket_only: bool, data_dir: Path | None, appendfsync: str, with_parent: bool) -> None:
    """Run a server on this machine for as long as this command runs.

    The first line of the output is its URL. SIGINT (Ctrl-C) and SIGTERM stop it.
    """
    parent = os.getppid()
    # The handler must not raise: an exception inside a destructor or a callback would be dropped.
    signals: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _frame: signals.put(received))

    from converge_redis.errors import EmbeddedServerError  # noqa: PLC0415
    from converge_redis.server.embedded import EmbeddedServer  # noqa: PLC0415

    try:
        with EmbeddedServer(
            port=None if socket_only else port,
            data_dir=data_dir,
            appendfsync=cast("AppendFsync", appendfsync),
        ) as own:
            click.echo(own.url)
            while own.running:
                with contextlib.suppress(Empty):
                    signals.get(timeout=_CHECK_SECONDS)
                    return
                # Not by PR_SET_PDEATHSIG: that would fire when the thread that ran this command ends.
                if with_parent and os.getppid() != parent:
                    return
            raise EmbeddedServerError(f"the server ended unexpectedly; its last lines:\n{own.log_tail()}")
    except EmbeddedServerError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--url",
    envvar="CONVERGE_REDIS_URL",
    show_envvar=True,
    help="Server to use, in a namespace that is removed at the end. Without it, one is started.",
)
def demo(path: Path | None, url: str | None) -> None:
    """Watch a fleet of processes parse a folder of Python files.

    PATH is a folder, or one file. Without it, the fleet parses the standard library of this Python, its test
    suite included where that is installed: about 1,800 files, half a minute on two cores. One worker is
    killed on the way. At the end, every file must be accounted for exactly once, and the results must be
    those of one process; otherwise the exit code is 1.
    """
    from converge_redis.demo.run import run_demo  # noqa: PLC0415

    raise SystemExit(run_demo(path, url or None))


@main.command()
@click.argument("handler", metavar="MODULE:HANDLER")
@click.option(
    "--url",
    envvar="CONVERGE_REDIS_URL",
    show_envvar=True,
    required=True,
    help="Server where the tasks are.",
)
@click.option("--namespace", default="converge", show_default=True, help="The prefix of the fleet's keys.")
@click.option(
    "--shards", type=click.IntRange(1), default=1, show_default=True, help="As in the fleet's stores."
)
@click.option("--agent-id", help="The agent that claims.  [default: host name and process id]")
@click.option("--pool", "pools", multiple=True, help="A pool of the agent; may be repeated.")
@click.option("--topic", "topics", multiple=True, help="A topic of the agent; may be repeated.")
@click.option(
    "--capability", "capabilities", multiple=True, help="A capability of the agent; may be repeated."
)
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="Tasks at the same time.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Further attempts when the handler raises.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that handlers have to finish at the end.",
)
def worker(
    handler: str,
    url: str,
    namespace: str,
    shards: int,
    agent_id: str | None,
    pools: tuple[str, ...],
    topics: tuple[str, ...],
    capabilities: tuple[str, ...],
    concurrency: int,
    retries: int,
    grace: float,
) -> None:
    """Work on tasks with a function of yours.

    HANDLER is called with each task, and returns its result. It may be a coroutine function. Modules are
    searched in the working directory too. A filter that is not given is not applied. SIGTERM and SIGINT
    (Ctrl-C) let running handlers finish, and end the worker.
    """
    import logging  # noqa: PLC0415
    import socket  # noqa: PLC0415

    from converge_redis.errors import ConvergeError  # noqa: PLC0415
    from converge_redis.store.redis_store import RedisStore  # noqa: PLC0415
    from converge_redis.worker.worker import Worker  # noqa: PLC0415

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    function = _load(handler)
    try:
        with RedisStore.from_url(url, namespace, shards) as store:
            Worker(
                store,
                agent_id or f"{socket.gethostname()}-{os.getpid()}",
                function,
                pool_ids=pools or None,
                topics=topics or None,
                capabilities=capabilities or None,
                concurrency=concurrency,
                retries=retries,
                grace_sec=grace,
            ).run()
    except ConvergeError as error:
        raise click.ClickException(str(error)) from error


def _load(name: str) -> Any:
    """Import the handler ``module:attribute``."""
    import importlib  # noqa: PLC0415
    import sys  # noqa: PLC0415

    module_name, colon, attributes = name.partition(":")
    if not (module_name and colon and attributes):
        raise click.BadParameter(f"{name!r} is not of the form module:function", param_hint="MODULE:HANDLER")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: Any = importlib.import_module(module_name)
        for attribute in attributes.split("."):
            found = getattr(found, attribute)
    except (ImportError, AttributeError) as error:
        raise click.BadParameter(
            f"{name!r} cannot be loaded: {error}", param_hint="MODULE:HANDLER"
        ) from error
    if not callable(found):
        raise click.BadParameter(f"{name!r} is not a function", param_hint="MODULE:HANDLER")
    return found
