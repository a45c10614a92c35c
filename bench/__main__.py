"""The benchmark harness: ``python -m bench --help``."""

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
    "--systems", help="Names, with semicolons between them; by default all.", default=";".join(SYSTEMS)
)
_url = click.option("--url", help="A server to use in place of embedded ones. ALL THAT IS ON IT IS DELETED.")


@click.group()
def main() -> None:
    """Measure converge-redis, and the queues of others beside it, on this machine."""


@main.command("list")
def list_all() -> None:
    """List the questions, and the systems with their configuration."""
    for question in QUESTIONS.values():
        click.echo(f"{question.name:20} {question.asks}")
    for system in SYSTEMS.values():
        click.echo(
            f"\n{system.name} ({' '.join(system.requirements) or 'this project'}):\n  {system.configuration}"
        )


@main.command()
@_systems
def setup(systems: str) -> None:
    """Make the peers' environments; `run` does it too."""
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
@click.option("--rounds", default=5, show_default=True, help="Interleaved rounds.")
@click.option(
    "--quick", is_flag=True, help="A first look, in about two minutes: few systems, questions and tasks."
)
@click.option("--out", default="report.json", show_default=True, type=click.Path(path_type=Path))
def run(
    questions: tuple[str, ...], systems: str, url: str | None, rounds: int, quick: bool, out: Path
) -> None:
    """Ask QUESTIONS, by default all, and print the tables."""
    chosen = QUICK_SYSTEMS if quick and systems == ";".join(SYSTEMS) else tuple(systems.split(";"))
    unknown = [name for name in chosen if name not in SYSTEMS]
    if unknown:
        raise click.BadParameter(
            f"unknown: {', '.join(unknown)}; there are {', '.join(SYSTEMS)}", param_hint="--systems"
        )
    settings = Settings(chosen, url, quick)
    names = questions or (QUICK if quick else tuple(QUESTIONS))
    began = time.monotonic()
    report = runner.run(names, settings, 1 if quick else rounds, lambda report: report.save(out))
    tables.show(report, Console())
    click.echo(f"{out} was written after {time.monotonic() - began:.0f} s")


@main.command()
@click.argument("report", type=click.Path(exists=True, path_type=Path))
def show(report: Path) -> None:
    """Print the tables of a REPORT."""
    tables.show(Report.load(report), Console())


@main.command()
@click.argument("report", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
def plot(report: Path, folder: Path) -> None:
    """Draw a REPORT into FOLDER: a PNG for each question, and a page with them and the tables."""
    loaded = Report.load(report)
    drawn = plots.plot(loaded, folder)
    (page := folder / "tables.md").write_text(tables.markdown(loaded, {path.stem for path in drawn}))
    for path in (*drawn, page):
        click.echo(str(path))


@main.command("simulate")
@click.option("--agents", default=100, show_default=True, help="Tasks that are worked on at a time.")
@click.option("--rate", default=1000.0, show_default=True, help="Tasks submitted a second.")
@click.option("--task-time", default=0.05, show_default=True, help="Seconds that a task takes.")
@click.option("--shards", default=1, show_default=True, help="Servers that share the tasks.")
@click.option("--cores", default=1, show_default=True, help="CPUs that the worker processes have.")
@click.option("--verify", is_flag=True, help="Hold predictions against two real fleets on this machine.")
@_url
def simulate_fleet(
    agents: int, rate: float, task_time: float, shards: int, cores: int, verify: bool, url: str | None
) -> None:
    """Predict a fleet from what a task costs on this machine."""
    settings = Settings(tuple(system.name for system in (*OURS, *PEERS)), url)
    costs = simulate.measure_costs(settings)
    click.echo(
        f"a task costs {costs.server * 1e6:.0f} µs of the server, {costs.worker * 1e6:.0f} µs of a worker "
        f"process, and {costs.overhead * 1e6:.0f} µs of waiting"
    )
    if not verify:
        fleet = simulate.Fleet(agents, rate, task_time, shards, cores)
        click.echo(simulate.table(fleet, simulate.predict(fleet, costs)))
        return
    for found in simulate.verify(costs, settings, 10.0):
        fleet = simulate.Fleet(**found["fleet"])
        click.echo(simulate.table(fleet, simulate.Prediction(**found["predicted"])))
        measured, predicted = found["measured"], found["predicted"]
        click.echo(
            f"  measured: {measured['throughput']:,.0f} tasks/s "
            f"({measured['throughput'] / predicted['throughput']:.2f} of what was predicted), "
            f"{measured['wait_seconds']:.4f} s from submit to claim"
        )


if __name__ == "__main__":
    main()
