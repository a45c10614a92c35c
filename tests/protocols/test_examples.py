"""Each example runs, in several processes, and tells what has to happen."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOLD = {  # what lines begin with
    "auction": ["bob has won, with 35, and is paid 40", "bob holds the claim on 'dig the well'"],
    "ballot": ["an outsider may vote: False", "bob is elected by weight: [('bob', 4), ('ada', 3)]"],
    "contract_net": ["eve refuses: too busy", "ada knows that bob was awarded", "bob has dug in 3 days"],
    "decisions": ["there will be soup"],
    "delegation": ["refused: scope", "reader: may the intern read? True", "reader: and now? False"],
    "shared_cache": ["10000 calls, 100 computations"],
    "negotiation": ["buyer offers 50", "accepted at "],
}


def test_all_examples_are_here() -> None:
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names - {"__init__", "processes"} == set(TOLD)


@pytest.mark.parametrize("name", TOLD)
def test_an_example_runs(name: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    for told in TOLD[name]:
        assert any(line.startswith(told) for line in ran.stdout.splitlines()), (told, ran.stdout)
