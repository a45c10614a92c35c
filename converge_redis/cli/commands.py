"""The commands of ``converge-redis``. Each imports its dependencies itself, so that ``--help`` is fast."""

import contextlib
import os
import signal
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, cast

import click

if TYPE_CHECKING:
    from converge_redis.server.embedded import AppendFsync

_CHECK_SECONDS = 0.5  # between checks that the server and the parent process still run


def _print_version(context: click.Context, _: click.Parameter, is_set: bool) -> None:
    if not is_set or context.resilient_parsing:
        return
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415

    try:
        click.echo(f"converge-redis {version('converge-redis')}")
    except PackageNotFoundError:
        click.echo("converge-redis, not installed (run from its source folder)")
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
    """Task queue and coordination for fleets of agents, on Redis or Valkey."""


@main.command()
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    show_default="a free port",
    help="TCP port on 127.0.0.1.",
)
@click.option(
    "--socket-only",
    is_flag=True,
    help="Listen only on a unix socket that other users cannot open, not on TCP.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the data. Without it, the data is lost when the server stops.",
)
@click.option(
    "--appendfsync",
    type=click.Choice(["everysec", "always"]),
    default="everysec",
    show_default=True,
    help="When the data in --data-dir is flushed to disk: each second, or at each write.",
)
@click.option(
    "--with-parent/--outlive-parent",
    default=True,
    show_default=True,
    help="Whether to stop when the parent process of this command ends.",
)
def server(port: int, socket_only: bool, data_dir: Path | None, appendfsync: str, with_parent: bool) -> None:
    """Run a server on this machine until this command ends.

    The first line of output is the URL of the server. SIGINT (Ctrl-C) and SIGTERM stop it.
    """
    parent = os.getppid()
    # The handler must not raise: an exception in a destructor or a callback would be lost.
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
        ) as embedded:
            click.echo(embedded.url)
            while embedded.running:
                with contextlib.suppress(Empty):
                    signals.get(timeout=_CHECK_SECONDS)
                    return
                # PR_SET_PDEATHSIG will not do: it fires when the thread that started this command ends.
                if with_parent and os.getppid() != parent:
                    return
            raise EmbeddedServerError(
                f"the server ended unexpectedly; the last lines of its log:\n{embedded.log_tail()}"
            )
    except EmbeddedServerError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option(
    "--url",
    envvar="CONVERGE_REDIS_URL",
    show_envvar=True,
    help="Server to use, in a new namespace that is deleted at the end. Without it, a server is started.",
)
def demo(path: Path | None, url: str | None) -> None:
    """Run a demo: a fleet of processes parses a folder of Python files.

    PATH is a folder or one file; the default is the standard library of this Python, with its test suite if
    that is installed: about 1,800 files, half a minute on two cores. One worker is killed during the run. At
    the end, every file must have exactly one accepted result, and all results must equal those of one
    process; otherwise the exit code is 1.
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
    help="Server with the tasks.",
)
@click.option(
    "--namespace", default="converge", show_default=True, help="Namespace of the stores of the fleet."
)
@click.option(
    "--shards",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Number of shards, as in the stores of the fleet.",
)
@click.option("--agent-id", help="Agent id of this worker.  [default: host name and process id]")
@click.option("--pool", "pools", multiple=True, help="Pool of the agent; may be repeated.")
@click.option("--topic", "topics", multiple=True, help="Topic of the agent; may be repeated.")
@click.option("--capability", "capabilities", multiple=True, help="Capability of the agent; may be repeated.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=1,
    show_default=True,
    help="How many tasks to work on at the same time.",
)
@click.option(
    "--retries",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="How many times to retry a task whose handler raises.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds for running handlers to finish when the worker stops.",
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
    """Run a worker that handles tasks with a function of yours.

    HANDLER is called with each task and returns its result. It may be a coroutine function. The module may be
    in the working directory. Without --pool, --topic or --capability that filter is not applied. SIGTERM and
    SIGINT (Ctrl-C) end the worker after its running handlers.
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
