"""A short round of the chaos suite with every kind of fault; `scripts/chaos` runs long ones."""

from pathlib import Path

from chaos.round import Plan, Round
from tests.support.backends import TIMEOUT


def test_a_fleet_keeps_its_guarantees_under_faults(tmp_path: Path) -> None:
    # The limit only ends a round that is still going on: each kind of fault takes its time.
    limit = TIMEOUT * 2
    plan = Plan("test", tasks=800, seconds=5.0, limit=limit, fsync="everysec", workers=3, folder=tmp_path)
    round_ = Round(plan)
    result = round_.run()
    assert result.violations == []
    assert result.counts["tasks"] + result.counts["tasks not stored"] == 800
    assert result.counts["reports accepted"] > 600
    assert {*round_.faults.kinds} <= {*result.faults}
    assert result.faults["replies lost"]
