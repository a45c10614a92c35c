"""What a run has measured: every number, and the medians and ratios that come of them."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.questions.question import Measured, Metric, Question


@dataclass
class Answers:
    """The answers to one question.

    Attributes:
        name: The question's name.
        asks: What it asks.
        metrics: The numbers that it gives.
        base: The subject that ratios are taken to.
        compares: Whether the subjects are systems.
        rounds: For each subject, what each round has measured; None where it has failed.
        failures: For each subject that has failed, why.
    """

    name: str
    asks: str
    metrics: list[Metric]
    base: str
    compares: bool
    rounds: dict[str, list[Measured | None]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    @classmethod
    def to(cls, question: Question, subjects: Sequence[str]) -> "Answers":
        """Make the answers to a question, of which there are none yet."""
        wanted = question.base
        base = wanted if wanted is not None and wanted in subjects else next(iter(subjects), "")
        return cls(question.name, question.asks, list(question.metrics), base, question.compares)

    def add(self, subject: str, measured: Measured | None) -> None:
        """Add what one round has measured."""
        self.rounds.setdefault(subject, []).append(measured)

    def values(self, subject: str, metric: str) -> list[float]:
        """Return the numbers of all rounds."""
        return [
            measured[metric]
            for measured in self.rounds.get(subject, [])
            if measured is not None and metric in measured
        ]

    def median(self, subject: str, metric: str) -> float | None:
        """Return the median over the rounds; None where there is no number."""
        values = self.values(subject, metric)
        return statistics.median(values) if values else None

    def spread(self, subject: str, metric: str) -> tuple[float, float] | None:
        """Return the least and the most."""
        values = self.values(subject, metric)
        return (min(values), max(values)) if values else None

    def ratios(self, subject: str, metric: str) -> list[float]:
        """Return, for each round, the subject's number as a multiple of the base's in the same round."""
        pairs = zip(self.rounds.get(subject, []), self.rounds.get(self.base, []), strict=False)
        return [
            own[metric] / base[metric]
            for own, base in pairs
            if own and base and metric in own and base.get(metric)
        ]


@dataclass
class Report:
    """A whole run.

    Attributes:
        machine: What it ran on.
        versions: The versions of each system.
        settings: How it was asked.
        answers: The answers, by question.
    """

    machine: dict[str, Any]
    versions: dict[str, dict[str, str]]
    settings: dict[str, Any]
    answers: dict[str, Answers] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write it as JSON, with the medians and ratios for those who only read."""
        whole = asdict(self)
        for name, answers in self.answers.items():
            whole["answers"][name]["summary"] = {
                subject: {metric.name: _summary(answers, subject, metric.name) for metric in answers.metrics}
                for subject in answers.rounds
            }
        path.write_text(json.dumps(whole, indent=1))

    @classmethod
    def load(cls, path: Path) -> "Report":
        """Read what `save` has written."""
        whole = json.loads(path.read_text())
        answers = {}
        for name, stored in whole.pop("answers").items():
            stored.pop("summary", None)
            metrics = [Metric(**metric) for metric in stored.pop("metrics")]
            answers[name] = Answers(metrics=metrics, **stored)
        return cls(answers=answers, **whole)


def _summary(answers: Answers, subject: str, metric: str) -> dict[str, Any]:
    ratios = answers.ratios(subject, metric)
    return {
        "median": answers.median(subject, metric),
        "spread": answers.spread(subject, metric),
        "ratio to the base": statistics.median(ratios) if ratios else None,
        "spread of the ratio": (min(ratios), max(ratios)) if ratios else None,
    }
