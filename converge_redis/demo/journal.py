"""The workers' journals: what the server answered, recorded apart from the server to check it."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any


class Journal:
    """The journal file of one worker; each line is written before the worker continues.

    Args:
        folder: The folder of the journals.
        worker: The worker's name.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._file = os.open(folder / f"{worker}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, event: str, task_id: str, claim_token: int | None) -> None:
        """Record that a task was ``claimed``, its result ``accepted``, or its claim ``lost``."""
        os.write(self._file, json.dumps([event, task_id, claim_token]).encode() + b"\n")


class JournalCounts:
    """The counts of all journals in a folder.

    Args:
        folder: The folder of the journals.

    Attributes:
        claimed: Claims by worker.
        accepted: Accepted results by worker.
        lost: Rejected results by worker.
        accepted_of: Accepted results by task.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._offsets: dict[Path, int] = {}
        self._accepted_pairs: set[tuple[str, str]] = set()
        self.claimed: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.accepted_of: Counter[str] = Counter()

    def update(self) -> None:
        """Read the lines that were added to the journals since the last call."""
        for path in self._folder.glob("*.journal"):
            with path.open("rb") as file:
                file.seek(self._offsets.get(path, 0))
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._offsets[path] = self._offsets.get(path, 0) + len(whole) + 1
            for line in whole.splitlines():
                self._count(path.stem, json.loads(line))

    def has_accepted(self, worker: str, task_id: str) -> bool:
        """Return whether a worker's journal has an accepted result of a task."""
        return (worker, task_id) in self._accepted_pairs

    def _count(self, worker: str, entry: list[Any]) -> None:
        event, task_id, _claim_token = entry
        counter = {"claimed": self.claimed, "accepted": self.accepted, "lost": self.lost}[event]
        counter[worker] += 1
        if event == "accepted":
            self.accepted_of[task_id] += 1
            self._accepted_pairs.add((worker, task_id))
