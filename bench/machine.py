"""The machine and the server of a run."""

import os
import platform
import sys
from pathlib import Path
from typing import Any

from bench.questions.question import Settings


def describe(settings: Settings) -> dict[str, Any]:
    """Return the properties of the machine, its system, and the server."""
    with settings.server() as server:
        info: Any = server.client.info("server")
    name = info.get("server_name", "redis")
    return {
        "CPU": _field("/proc/cpuinfo", "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory": _field("/proc/meminfo", "MemTotal"),
        "system": platform.platform(),
        "Python": sys.version.split()[0],
        "server": f"{name} {info.get(f'{name}_version', info['redis_version'])}",
        "server allocator": _allocator(settings),
    }


def busy_seconds() -> float:
    """Return the CPU seconds that all cores of this machine have used so far (Linux)."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(
        int, Path("/proc/stat").read_text().split(maxsplit=8)[1:8]
    )
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


def _allocator(settings: Settings) -> str:
    with settings.server() as server:
        info: Any = server.client.info("memory")
    return str(info["mem_allocator"])


def _field(path: str, name: str) -> str:
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
