"""The benchmark command: ``python -m bench --help``."""

import time
from pathlib import Path

import click
from rich.console import Console

from bench import plots, runner, simulate, tables
from bench.questions import QUESTIONS
from bench.questions.question import Settings
from bench.report import Report
from bench.systems.environments import EnvironmentFailedError, prepare
from bench.systems.peers import OURS, PEERS, SYSTEMS

QUICK = ("submit", "submit_bulk", "drain_1", "latency", "claim_cost")
QUICK_SYSTEMS = ("ours", "ours, asyncio", "BullMQ (Node)", "huey", "saq")

_systems = click.option(
    "--systems", help="Names of systems, separated by semicolons.  [default: all]", default=";".join(SYSTEMS)
)
_url = click.option("--url", help="Server to use instead of embedded ones. ALL ITS DATA IS DELETED.")


@click.group()
def main() -> None:
    """Measure converge-redis and other queues on this machine."""


@main.command("list")
def list_all() -> None:
    """List the questions, and each system with its configuration."""
    for question in QUESTIONS.values():
        click.echo(f"{question.name:20} {question.title}")
    for system in SYSTEMS.values():
        click.echo(
            f"\n{system.name} ({' '.join(system.requirements) or 'this project'}):\n  {system.configuration}"
        )


@main.command()
@_systems
def setup(systems: str) -> None:
    """Create the environments of the peers; `run` does so too."""
    for name in systems.split(";"):
        try:
            prepare(SYSTEMS[name])
            click.echo(f"{name}: ready")
        except EnvironmentFailedError as error:
            click.echo(f"{name}: {error}", err=True)


@main.command()
@click.argument("questions", nargs=-1, type=click.Choice(list(QUESTIONS)))
@_systems
@_url
@click.option("--rounds", default=5, show_default=True, help="Number of interleaved rounds.")
@click.option("--quick", is_flag=True, help="Few systems, questions and tasks, in about two minutes.")
@click.option(
    "--out",
    default="report.json",
    show_default=True,
    type=click.Path(path_type=Path),
    help="File for the report.",
)
def run(
    questions: tuple[str, ...], systems: str, url: str | None, rounds: int, quick: bool, out: Path
) -> None:
    """Measure QUESTIONS (default: all), and print the tables."""
    chosen = QUICK_SYSTEMS if quick and systems == ";".join(SYSTEMS) else tuple(systems.split(";"))
    unknown = [name for name in chosen if name not in SYSTEMS]
    if unknown:
        raise click.BadParameter(
            f"unknown: {', '.join(unknown)}; known: {', '.join(SYSTEMS)}", param_hint="--systems"
        )
    settings = Settings(chosen, url, quick)
    names = questions or (QUICK if quick else tuple(QUESTIONS))
    began = time.monotonic()
    report = runner.run(names, settings, 1 if quick else rounds, lambda report: report.save(out))
    tables.show(report, Console())
    click.echo(f"wrote {out} after {time.monotonic() - began:.0f} s")


@main.command()
@click.argument("report", type=click.Path(exists=True, path_type=Path))
def show(report: Path) -> None:
    """Print the tables of a REPORT."""
    tables.show(Report.load(report), Console())


@main.command()
@click.argument("report", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def plot(report: Path, folder: Path) -> None:
    """Plot a REPORT into FOLDER: a PNG per question, and a page with the tables and the plots."""
    loaded = Report.load(report)
    files = plots.plot(loaded, folder)
    (page := folder / "tables.md").write_text(tables.markdown(loaded, {path.stem for path in files}))
    for path in (*files, page):
        click.echo(str(path))


@main.command("simulate")
@click.option("--agents", default=100, show_default=True, help="Tasks in progress at the same time.")
@click.option("--rate", default=1000.0, show_default=True, help="Tasks submitted per second.")
@click.option("--task-time", default=0.05, show_default=True, help="Mean seconds per task.")
@click.option("--shards", default=1, show_default=True, help="Servers that share the tasks.")
@click.option("--cores", default=1, show_default=True, help="CPUs of the worker processes.")
@click.option("--verify", is_flag=True, help="Compare predictions with two real fleets on this machine.")
@_url
def simulate_fleet(
    agents: int, rate: float, task_time: float, shards: int, cores: int, verify: bool, url: str | None
) -> None:
    """Predict the load of a fleet from the cost of a task on this machine."""
    settings = Settings(tuple(system.name for system in (*OURS, *PEERS)), url)
    costs = simulate.measure_costs(settings)
    click.echo(
        f"cost of a task: {costs.server * 1e6:.0f} µs CPU of the server, "
        f"{costs.worker * 1e6:.0f} µs CPU of a worker process, {costs.overhead * 1e6:.0f} µs of waiting"
    )
    if not verify:
        fleet = simulate.Fleet(agents, rate, task_time, shards, cores)
        click.echo(simulate.table(fleet, simulate.predict(fleet, costs)))
        return
    for outcome in simulate.verify(costs, settings, 10.0):
        fleet = simulate.Fleet(**outcome["fleet"])
        click.echo(simulate.table(fleet, simulate.Prediction(**outcome["predicted"])))
        measured, predicted = outcome["measured"], outcome["predicted"]
        click.echo(
            f"  measured: {measured['throughput']:,.0f} tasks/s "
            f"({measured['throughput'] / predicted['throughput']:.2f} of the prediction), "
            f"{measured['wait_seconds']:.4f} s from submit to claim"
        )


if __name__ == "__main__":
    main()
