"""The environments of the peers, one each: they need different versions of the same libraries."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.systems.peers import System

DRIVERS = Path(__file__).parent / "drivers"


@dataclass(frozen=True)
class DriverCommand:
    """The command of a driver, without its role and arguments, and its environment variables."""

    command: list[str]
    environment: dict[str, str] = field(default_factory=dict)


class EnvironmentFailedError(Exception):
    """An environment could not be created."""


def home() -> Path:
    """Return the folder of the environments: ``CONVERGE_BENCH_HOME``, or one in the user's cache folder."""
    return Path(os.environ.get("CONVERGE_BENCH_HOME") or Path.home() / ".cache/converge-redis-bench")


def prepare(system: System) -> DriverCommand:
    """Create a system's environment if needed, and return the command of its driver.

    Raises:
        EnvironmentFailedError: A tool is missing, or the packages could not be installed.
    """
    driver = str(DRIVERS / system.driver)
    if system.is_ours:
        root = str(Path(__file__).parents[2])
        return DriverCommand([sys.executable, driver], {"PYTHONPATH": root})
    folder = home() / system.driver.partition(".")[0]
    stamp = folder / "requirements.json"
    requirements = json.dumps(system.requirements)
    if not stamp.exists() or stamp.read_text() != requirements:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (_install_node if system.is_node else _install_python)(system, folder)
        stamp.write_text(requirements)
    if system.is_node:
        return DriverCommand(["node", driver], {"NODE_PATH": str(folder / "node_modules")})
    return DriverCommand([str(folder / "bin/python"), driver])


def _install_python(system: System, folder: Path) -> None:
    _run(system, [sys.executable, "-m", "venv", str(folder)])
    _run(system, [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *system.requirements])


def _install_node(system: System, folder: Path) -> None:
    if shutil.which("npm") is None:
        raise EnvironmentFailedError(f"{system.name} needs Node.js with npm, which you have to install")
    _run(system, ["npm", "install", "--silent", "--no-audit", "--prefix", str(folder), *system.requirements])


def _run(system: System, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise EnvironmentFailedError(
            f"the environment of {system.name} cannot be created: {' '.join(command)}:\n{done.stderr[-2000:]}"
        )
