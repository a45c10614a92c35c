"""Plots of a report."""

from pathlib import Path

from bench.report import Answers, Report

OURS, OTHERS = "#1f6f54", "#9aa5b1"


def plot(report: Report, folder: Path) -> list[Path]:
    """Plot each question as bars of medians with their spread; return the files."""
    import matplotlib as mpl  # noqa: PLC0415 - takes a second

    mpl.use("agg")
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for answers in report.answers.values():
        path = folder / f"{answers.name}.png"
        if _plot(answers, path):
            files.append(path)
    return files


def _plot(answers: Answers, path: Path) -> bool:
    from matplotlib import pyplot  # noqa: PLC0415 - as above

    metrics = [
        metric
        for metric in answers.metrics
        if any(answers.values(name, metric.name) for name in answers.rounds)
    ]
    if not metrics:
        return False
    height = 0.8 + 0.32 * len(answers.rounds)
    figure, axes = pyplot.subplots(1, len(metrics), figsize=(7 * len(metrics), height), squeeze=False)
    for axis, metric in zip(axes[0], metrics, strict=True):
        medians = [(name, answers.median(name, metric.name) or 0.0) for name in answers.rounds]
        if answers.compares:
            medians.sort(key=lambda each: each[1] if metric.higher_is_better else -each[1])
        else:
            medians.reverse()
        for position, (name, median) in enumerate(medians):
            low, high = answers.spread(name, metric.name) or (0.0, 0.0)
            is_ours = name.startswith("ours") or not answers.compares
            axis.barh(
                position,
                median,
                color=OURS if is_ours else OTHERS,
                xerr=[[median - low], [high - median]],
                error_kw={"ecolor": "#444444", "capsize": 2},
            )
        axis.set_yticks(range(len(medians)), [name for name, _ in medians])
        axis.set_xlabel(f"{metric.name}, {metric.unit}")
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle(answers.title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return True
