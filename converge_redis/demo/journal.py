"""The worker's own record of what the server told it, kept apart from the server to hold it to account."""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any


class Journal:
    """One worker's file; each line is on disk before the worker goes on.

    Args:
        folder: Where the journals are.
        worker: The worker's name.
    """

    def __init__(self, folder: Path, worker: str) -> None:
        self._file = os.open(folder / f"{worker}.journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def write(self, event: str, task_id: str, claim_token: int | None) -> None:
        """Note that a task was ``claimed``, its outcome ``accepted``, or its claim ``lost``."""
        os.write(self._file, json.dumps([event, task_id, claim_token]).encode() + b"\n")


class Tally:
    """What all journals say so far.

    Args:
        folder: Where the journals are.

    Attributes:
        claimed: Claims by worker.
        accepted: Accepted outcomes by worker.
        lost: Refused outcomes by worker.
        accepted_of: Accepted outcomes by task.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, int] = {}
        self.claimed: Counter[str] = Counter()
        self.accepted: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.accepted_of: Counter[str] = Counter()

    def update(self) -> None:
        """Read what was added to the journals since the last time."""
        for path in self._folder.glob("*.journal"):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                whole = file.read().rpartition(b"\n")[0]
            if whole:
                self._read[path] = self._read.get(path, 0) + len(whole) + 1
            for line in whole.splitlines():
                self._count(path.stem, json.loads(line))

    def _count(self, worker: str, entry: list[Any]) -> None:
        event, task_id, _claim_token = entry
        counter = {"claimed": self.claimed, "accepted": self.accepted, "lost": self.lost}[event]
        counter[worker] += 1
        if event == "accepted":
            self.accepted_of[task_id] += 1
