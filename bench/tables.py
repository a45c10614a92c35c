"""Tables of a report, for a terminal and for the documentation."""

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
    """Return a row for each subject: the median, the spread and the ratio to the base of each metric."""
    for subject in _ordered(answers):
        row = [subject]
        for metric in answers.metrics:
            row += _cells(answers, subject, metric)
        yield row


def _ordered(answers: Answers) -> list[str]:
    if not answers.compares:
        return list(answers.rounds)
    metric = answers.metrics[0]
    sign = -1 if metric.higher_is_better else 1

    def rank(subject: str) -> float:
        median = answers.median(subject, metric.name)
        return float("inf") if median is None else sign * median

    return sorted(answers.rounds, key=rank)


def _cells(answers: Answers, subject: str, metric: Metric) -> Row:
    median, spread = answers.median(subject, metric.name), answers.spread(subject, metric.name)
    if median is None or spread is None:
        number = "failed" if subject in answers.failures else "-"
        return [number, ""] if metric.has_ratio else [number]
    number_format = f"{{:,.{metric.digits}f}}"
    number = number_format.format(median)
    low, high = (number_format.format(value) for value in spread)
    if low != high:
        number += f" ({low}-{high})"
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
        table = Table(title=f"{answers.name}: {answers.title}", title_justify="left")
        for index, column in enumerate(header(answers)):
            table.add_column(column, justify="right" if index else "left")
        for row in rows(answers):
            table.add_row(*row)
        console.print(table)
        for subject, error in answers.failures.items():
            console.print(f"{subject} failed: {error}", style="red")


def markdown(report: Report, plotted: Collection[str]) -> str:
    """Return a page with all tables, and the plots of the named questions."""
    machine = ", ".join(f"{name}: {value}" for name, value in report.machine.items() if value)
    parts = ["# Figures", f"{machine}. {report.settings['rounds']} interleaved rounds, medians."]
    for answers in report.answers.values():
        head = header(answers)
        lines = ["| " + " | ".join(head) + " |", "|" + " --- |" + " ---: |" * (len(head) - 1)]
        lines += ["| " + " | ".join(row) + " |" for row in rows(answers)]
        parts += [f"## {answers.title}", f"`python -m bench run {answers.name}`", "\n".join(lines)]
        parts += [f"{subject} failed: {error}." for subject, error in answers.failures.items()]
        if answers.name in plotted:
            parts.append(f"![{answers.title}]({answers.name}.png)")
    if report.versions:
        versions_of_systems = (
            f"{name}: {', '.join(f'{part} {version}' for part, version in versions.items())}"
            for name, versions in report.versions.items()
        )
        parts += ["## Versions", "; ".join(versions_of_systems) + "."]
    return "\n\n".join(parts) + "\n"
