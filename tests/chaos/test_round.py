"""A short round of the chaos suite with every kind of fault; `scripts/chaos` runs long ones."""

from pathlib import Path

from chaos.round import Plan, Round


def test_a_fleet_keeps_its_guarantees_under_faults(tmp_path: Path) -> None:
    plan = Plan("test", tasks=800, seconds=5.0, limit=20.0, fsync="everysec", workers=3, folder=tmp_path)
    round_ = Round(plan)
    result = round_.run()
    assert result.violations == []
    assert result.counts["tasks"] + result.counts["tasks not stored"] == 800
    assert result.counts["reports accepted"] > 600
    assert {*round_.faults.kinds} <= {*result.faults}
    assert result.faults["replies lost"]
