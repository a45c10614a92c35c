"""The runner: measures all subjects of a question in each round, so that disturbances affect all alike."""

import contextlib
from collections.abc import Callable, Iterator, Sequence

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from bench.machine import describe
from bench.questions import QUESTIONS
from bench.questions.question import Question, Settings
from bench.report import Answers, Report
from bench.systems.environments import EnvironmentFailedError
from bench.systems.peers import SYSTEMS
from bench.systems.session import Session, SystemFailedError

Step = Callable[[str], None]
FAILED = (SystemFailedError, EnvironmentFailedError)


def run(
    names: Sequence[str], settings: Settings, rounds: int, on_answers: Callable[[Report], None]
) -> Report:
    """Measure questions.

    Args:
        names: The names of the questions.
        settings: The settings.
        rounds: The number of rounds.
        on_answers: Called with the report after each question, so that an interrupted run is not lost.
    """
    questions = [QUESTIONS[name] for name in names]
    steps = sum(len(question.subjects(settings)) * rounds for question in questions)
    with _progress(steps) as step:
        versions = _versions(settings, step) if any(question.compares for question in questions) else {}
        report = Report(
            describe(settings),
            versions,
            {"rounds": rounds, "quick": settings.quick, "url": settings.url},
        )
        for question in questions:
            report.answers[question.name] = measure_question(question, settings, rounds, step)
            on_answers(report)
    return report


def measure_question(question: Question, settings: Settings, rounds: int, step: Step) -> Answers:
    """Measure all subjects of a question; one that fails is skipped in the following rounds."""
    subjects = question.subjects(settings)
    answers = Answers.of(question, subjects)
    with question.measuring(settings) as measure:
        for number in range(rounds):
            for subject in subjects:
                step(f"{question.name}, round {number + 1}: {subject}")
                if subject in answers.failures:
                    answers.add(subject, None)
                    continue
                try:
                    answers.add(subject, measure(subject))
                except FAILED as error:
                    answers.failures[subject] = str(error)
                    answers.add(subject, None)
    return answers


def _versions(settings: Settings, step: Step) -> dict[str, dict[str, str]]:
    versions = {}
    for name in settings.systems:
        step(f"environment of {name}")
        try:
            with settings.server() as server, Session(SYSTEMS[name], server.url) as session:
                versions[name] = session.call("versions")
        except FAILED as error:
            versions[name] = {"failed": str(error)}
    return versions


@contextlib.contextmanager
def _progress(steps: int) -> Iterator[Step]:
    columns = (TextColumn("{task.description:60}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("", total=steps)

        def step(description: str) -> None:
            progress.update(
                task, description=description, advance=0 if description.startswith("environment") else 1
            )

        yield step
