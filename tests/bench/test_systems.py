"""The measured systems: each has a driver, and those of this project work."""

import subprocess
import sys

import pytest

from bench.questions import QUESTIONS
from bench.systems.environments import DRIVERS
from bench.systems.peers import OURS, SYSTEMS, System
from bench.systems.session import Session, SystemFailedError, fill
from tests.support.backends import Backend, until


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_each_system_has_a_driver_and_a_description_of_its_configuration(system: System) -> None:
    assert (DRIVERS / system.driver).is_file()
    assert system.configuration.endswith(".")


@pytest.mark.parametrize("system", OURS, ids=lambda system: system.name)
def test_the_drivers_of_this_project(system: System, real: Backend) -> None:
    with Session(system, str(real.url)) as session:
        assert session.call("submit", first=0, count=5) > 0
        fill(session, 5, 20)
        with session.workers(2, 27) as marks:
            until(lambda: session.call("finished") == 25)
            assert marks.handled() == 25
            assert len(session.call("latencies", first=25, count=2, pause=0.0)) == 2
            marks.wait_all()
        assert "converge-redis" in session.call("versions")
        with pytest.raises(SystemFailedError, match="no_such"):
            session.call("no_such")


def test_the_command_lists_questions_and_systems() -> None:
    output = subprocess.run(
        [sys.executable, "-m", "bench", "list"], capture_output=True, text=True, check=True
    ).stdout
    for name in (*QUESTIONS, *SYSTEMS):
        assert name in output
