"""Each example runs, in several processes, and prints what is expected."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.backends import TIMEOUT

ROOT = Path(__file__).parents[2]
EXPECTED = {  # the beginnings of lines
    "auction": ["bob has won, with 35, and is paid 40", "bob holds the claim on 'dig the well'"],
    "ballot": ["an outsider may vote: False", "bob is elected by weight: [('bob', 4), ('ada', 3)]"],
    "contract_net": ["eve refuses: too busy", "ada knows that bob was awarded", "bob has dug in 3 days"],
    "decisions": ["there will be soup"],
    "delegation": ["refused: scope", "reader: may the intern read? True", "reader: and now? False"],
    "shared_cache": ["10000 calls, 100 computations"],
    "negotiation": ["buyer offers 50", "accepted at "],
}


def test_every_example_has_an_expected_output() -> None:
    names = {path.stem for path in (ROOT / "examples").glob("*.py")}
    assert names - {"__init__", "processes"} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_example_prints_the_expected_lines(name: str) -> None:
    result = subprocess.run(
        [sys.executable, "-m", f"examples.{name}"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=4 * TIMEOUT,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    for beginning in EXPECTED[name]:
        assert any(line.startswith(beginning) for line in lines), (beginning, result.stdout)
