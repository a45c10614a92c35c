"""The folder of one run: files that the main process and the others exchange."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converge_redis.demo.plan import WorkerPlan
from converge_redis.demo.source import Source
from converge_redis.demo.total import Total


@dataclass(frozen=True, slots=True)
class FinishedTask:
    """A finished task, as stored on the server.

    Attributes:
        state: The state in which it ended.
        result: The result, or the reason of the failure.
        agent: The worker whose result was accepted.
        attempts: How many times it was claimed.
    """

    state: str
    result: Any
    agent: str | None
    attempts: int


class RunFolder:
    """The files of one run.

    Args:
        path: An existing folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def write_start(self, namespace: str, sources: list[Source], plans: list[WorkerPlan]) -> None:
        """Write the input of the processes."""
        (self.path / "namespace.json").write_text(json.dumps(namespace))
        (self.path / "sources.json").write_text(json.dumps([asdict(source) for source in sources]))
        (self.path / "workers.json").write_text(json.dumps([asdict(plan) for plan in plans]))

    def read_namespace(self) -> str:
        """Return the namespace of the run."""
        return str(self._read("namespace.json"))

    def read_sources(self) -> list[Source]:
        """Return the files to parse."""
        return [Source(**source) for source in self._read("sources.json")]

    def read_worker(self, name: str) -> WorkerPlan:
        """Return the plan of a worker."""
        return next(WorkerPlan(**plan) for plan in self._read("workers.json") if plan["name"] == name)

    def write_collected(self, finished: dict[str, FinishedTask], total: Total) -> None:
        """Write the collector's results."""
        tasks = {task_id: asdict(task) for task_id, task in finished.items()}
        (self.path / "collected.json").write_text(json.dumps({"tasks": tasks, "total": total.to_json()}))

    def read_collected(self) -> tuple[dict[str, FinishedTask], Total]:
        """Return the collector's results."""
        data = self._read("collected.json")
        tasks = {task_id: FinishedTask(**task) for task_id, task in data["tasks"].items()}
        return tasks, Total.from_json(data["total"])

    def _read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text())
