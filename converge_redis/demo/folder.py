"""The folder of one run, through which the main process tells the others what they need to know."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converge_redis.demo.plan import WorkerPlan
from converge_redis.demo.source import Source
from converge_redis.demo.total import Total


@dataclass(frozen=True, slots=True)
class Finished:
    """What the collector has heard of a task.

    Attributes:
        state: The state that it ended in.
        result: The result, or the reason of the failure.
        agent: The worker that finished it.
        attempts: How often it was claimed.
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
        """Write what the processes start from."""
        (self.path / "namespace.json").write_text(json.dumps(namespace))
        (self.path / "sources.json").write_text(json.dumps([asdict(source) for source in sources]))
        (self.path / "workers.json").write_text(json.dumps([asdict(plan) for plan in plans]))

    def read_namespace(self) -> str:
        """Return the namespace of the run."""
        return str(self._read("namespace.json"))

    def read_sources(self) -> list[Source]:
        """Return the files that are to be parsed."""
        return [Source(**source) for source in self._read("sources.json")]

    def read_worker(self, name: str) -> WorkerPlan:
        """Return the plan of a worker."""
        return next(WorkerPlan(**plan) for plan in self._read("workers.json") if plan["name"] == name)

    def write_collected(self, finished: dict[str, Finished], total: Total) -> None:
        """Write what the collector has gathered."""
        tasks = {task_id: asdict(one) for task_id, one in finished.items()}
        (self.path / "collected.json").write_text(json.dumps({"tasks": tasks, "total": total.to_json()}))

    def read_collected(self) -> tuple[dict[str, Finished], Total]:
        """Return what the collector has gathered."""
        data = self._read("collected.json")
        tasks = {task_id: Finished(**one) for task_id, one in data["tasks"].items()}
        return tasks, Total.from_json(data["total"])

    def _read(self, name: str) -> Any:
        return json.loads((self.path / name).read_text())
