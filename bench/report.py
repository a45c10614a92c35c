"""The report of a run: all numbers, with their medians and ratios."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.questions.question import Measurement, Metric, Question


@dataclass
class Answers:
    """The answers to one question.

    Attributes:
        name: The name of the question.
        title: Its title.
        metrics: Its metrics.
        base: The subject to which ratios are computed.
        compares: Whether the subjects are systems.
        rounds: For each subject the measurements by round; None where it failed.
        failures: For each subject that failed the error.
    """

    name: str
    title: str
    metrics: list[Metric]
    base: str
    compares: bool
    rounds: dict[str, list[Measurement | None]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, question: Question, subjects: Sequence[str]) -> "Answers":
        """Make empty answers to a question."""
        base = question.base
        if base is None or base not in subjects:
            base = next(iter(subjects), "")
        return cls(question.name, question.title, list(question.metrics), base, question.compares)

    def add(self, subject: str, measured: Measurement | None) -> None:
        """Add the measurement of one round."""
        self.rounds.setdefault(subject, []).append(measured)

    def values(self, subject: str, metric: str) -> list[float]:
        """Return the values of all rounds."""
        return [
            measured[metric]
            for measured in self.rounds.get(subject, [])
            if measured is not None and metric in measured
        ]

    def median(self, subject: str, metric: str) -> float | None:
        """Return the median over the rounds; None: there is no value."""
        values = self.values(subject, metric)
        return statistics.median(values) if values else None

    def spread(self, subject: str, metric: str) -> tuple[float, float] | None:
        """Return the minimum and the maximum; None: there is no value."""
        values = self.values(subject, metric)
        return (min(values), max(values)) if values else None

    def ratios(self, subject: str, metric: str) -> list[float]:
        """Return for each round the ratio of the subject's value to that of the base in the same round."""
        pairs = zip(self.rounds.get(subject, []), self.rounds.get(self.base, []), strict=False)
        return [
            own[metric] / base[metric]
            for own, base in pairs
            if own and base and metric in own and base.get(metric)
        ]


@dataclass
class Report:
    """The report of a run.

    Attributes:
        machine: The properties of the machine and the server.
        versions: The versions of each system.
        settings: The settings of the run.
        answers: The answers by question.
    """

    machine: dict[str, Any]
    versions: dict[str, dict[str, str]]
    settings: dict[str, Any]
    answers: dict[str, Answers] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the report as JSON, with medians and ratios for readers."""
        document = asdict(self)
        for name, answers in self.answers.items():
            document["answers"][name]["summary"] = {
                subject: {metric.name: _summary(answers, subject, metric.name) for metric in answers.metrics}
                for subject in answers.rounds
            }
        path.write_text(json.dumps(document, indent=1))

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Read a report that `save` has written."""
        document = json.loads(path.read_text())
        answers = {}
        for name, stored in document.pop("answers").items():
            stored.pop("summary", None)
            metrics = [Metric(**metric) for metric in stored.pop("metrics")]
            answers[name] = Answers(metrics=metrics, **stored)
        return cls(answers=answers, **document)


def _summary(answers: Answers, subject: str, metric: str) -> dict[str, Any]:
    ratios = answers.ratios(subject, metric)
    return {
        "median": answers.median(subject, metric),
        "spread": answers.spread(subject, metric),
        "ratio to the base": statistics.median(ratios) if ratios else None,
        "spread of the ratio": (min(ratios), max(ratios)) if ratios else None,
    }
