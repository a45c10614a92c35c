"""A short round of the fault suite, with every kind of fault; `scripts/chaos` runs long ones."""

from pathlib import Path

from chaos.round import Plan, Round


def test_a_fleet_keeps_its_promises_while_everything_breaks(tmp_path: Path) -> None:
    plan = Plan("test", tasks=800, seconds=5.0, limit=20.0, fsync="everysec", workers=3, folder=tmp_path)
    account = Round(plan).run()
    assert account.violations == []
    assert account.counts["tasks"] + account.counts["tasks not stored"] == 800
    assert account.counts["reports accepted"] > 600
    assert all(account.faults.values())
    assert account.faults["server killed (SIGKILL) and started anew"]
    assert account.faults["replies lost"]
    assert account.faults["maxmemory reached"]
    assert account.faults["worker stopped for longer than a lease (SIGSTOP)"]
