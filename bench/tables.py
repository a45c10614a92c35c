"""A report as tables, for a terminal and for the documentation."""

import statistics
from collections.abc import Collection, Iterator

from rich.console import Console
from rich.table import Table

from bench.questions.question import Metric
from bench.report import Answers, Report

Row = list[str]


def header(answers: Answers) -> Row:
    """Return the names of the columns."""
    columns = [""]
    for metric in answers.metrics:
        columns.append(f"{metric.name}, {metric.unit}" if metric.unit else metric.name)
        if metric.has_ratio:
            columns.append(f"to {answers.base}")
    return columns


def rows(answers: Answers) -> Iterator[Row]:
    """Return a row for each subject: of each metric the median, the spread, and the ratio to the base."""
    for subject in _ordered(answers):
        row = [subject]
        for metric in answers.metrics:
            row += _cells(answers, subject, metric)
        yield row


def _ordered(answers: Answers) -> list[str]:
    if not answers.compares:
        return list(answers.rounds)
    metric = answers.metrics[0]
    sign = -1 if metric.more_is_better else 1

    def place(subject: str) -> float:
        median = answers.median(subject, metric.name)
        return float("inf") if median is None else sign * median

    return sorted(answers.rounds, key=place)


def _cells(answers: Answers, subject: str, metric: Metric) -> Row:
    median, spread = answers.median(subject, metric.name), answers.spread(subject, metric.name)
    if median is None or spread is None:
        number = "failed" if subject in answers.failures else "-"
        return [number, ""] if metric.has_ratio else [number]
    shape = f"{{:,.{metric.digits}f}}"
    number = shape.format(median)
    least, most = (shape.format(each) for each in spread)
    if least != most:
        number += f" ({least}-{most})"
    if not metric.has_ratio:
        return [number]
    ratios = answers.ratios(subject, metric.name)
    ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})" if ratios else ""
    return [number, "" if subject == answers.base else ratio]


def show(report: Report, console: Console) -> None:
    """Print all tables."""
    for name, value in report.machine.items():
        console.print(f"{name}: {value}", style="dim")
    for answers in report.answers.values():
        table = Table(title=f"{answers.name}: {answers.asks}", title_justify="left")
        for index, column in enumerate(header(answers)):
            table.add_column(column, justify="right" if index else "left")
        for row in rows(answers):
            table.add_row(*row)
        console.print(table)
        for subject, why in answers.failures.items():
            console.print(f"{subject} failed: {why}", style="red")


def markdown(report: Report, pictures: Collection[str]) -> str:
    """Return a page with all tables, and with the pictures that there are of questions, by name."""
    machine = ", ".join(f"{name}: {value}" for name, value in report.machine.items() if value)
    parts = ["# Figures", f"{machine}. {report.settings['rounds']} interleaved rounds, medians."]
    for answers in report.answers.values():
        head = header(answers)
        lines = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in rows(answers)]
        parts += [f"## {answers.asks}", f"`python -m bench run {answers.name}`", "\n".join(lines)]
        parts += [f"{subject} failed: {why}." for subject, why in answers.failures.items()]
        if answers.name in pictures:
            parts.append(f"![{answers.asks}]({answers.name}.png)")
    if report.versions:
        told = (
            f"{name}: {', '.join(f'{part} {version}' for part, version in versions.items())}"
            for name, versions in report.versions.items()
        )
        parts += ["## Versions", "; ".join(told) + "."]
    return "\n\n".join(parts) + "\n"
