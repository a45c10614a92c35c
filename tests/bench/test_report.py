"""Reports: medians, ratios within a round, files and tables."""

from pathlib import Path

from bench.questions.question import Metric
from bench.report import Answers, Report
from bench.tables import markdown, rows


def answers(compares: bool = True) -> Answers:
    found = Answers("submit", "Tasks", [Metric("rate", "tasks/s")], "ours", compares)
    for ours, other in ((100.0, 50.0), (200.0, 150.0), (300.0, 60.0)):
        found.add("other", {"rate": other})
        found.add("ours", {"rate": ours})
    return found


def test_the_median_and_the_spread() -> None:
    assert answers().median("ours", "rate") == 200.0
    assert answers().spread("other", "rate") == (50.0, 150.0)
    assert answers().median("ours", "unknown") is None
    assert answers().spread("unknown", "rate") is None


def test_a_ratio_is_taken_within_a_round() -> None:
    assert answers().ratios("other", "rate") == [0.5, 0.75, 0.2]
    assert answers().ratios("ours", "rate") == [1.0, 1.0, 1.0]


def test_a_round_that_failed_has_no_ratio() -> None:
    found = answers()
    found.add("other", None)
    found.add("ours", {"rate": 100.0})
    assert found.ratios("other", "rate") == [0.5, 0.75, 0.2]
    assert found.values("other", "rate") == [50.0, 150.0, 60.0]


def test_a_missing_value_is_shown_as_a_dash() -> None:
    found = answers()
    found.rounds["silent"] = [{}, {}, {}]
    assert found.median("silent", "rate") is None
    assert ["silent", "-", ""] in list(rows(found))


def test_tables_begin_with_the_best_where_systems_are_compared() -> None:
    assert [row[0] for row in rows(answers())] == ["ours", "other"]
    assert [row[0] for row in rows(answers(compares=False))] == ["other", "ours"]


def test_the_lowest_is_first_where_lower_is_better() -> None:
    found = answers()
    found.metrics = [Metric("rate", "ms", higher_is_better=False)]
    assert [row[0] for row in rows(found)] == ["other", "ours"]


def test_a_failure_is_shown() -> None:
    found = answers()
    found.rounds["broken"] = [None, None, None]
    found.failures["broken"] = "the process ended"
    assert ["broken", "failed", ""] in list(rows(found))


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    report = Report({"cores": 2}, {"ours": {"redis": "8"}}, {"rounds": 3}, {"submit": answers()})
    report.save(tmp_path / "report.json")
    assert Report.load(tmp_path / "report.json") == report


def test_the_documentation_has_a_line_for_each_subject() -> None:
    report = Report({"cores": 2}, {"ours": {"redis": "8"}}, {"rounds": 3}, {"submit": answers()})
    text = markdown(report, {"submit"})
    assert "| ours | 200 (100-300) |  |" in text
    assert "| other | 60 (50-150) | 0.50 (0.20-0.75) |" in text
    assert "![" in text
    assert "](submit.png)" in text
    assert "ours: redis 8." in text
    assert "submit.png" not in markdown(report, ())
