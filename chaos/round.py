"""A round: a fleet works under faults, then without faults until all tasks have ended; then it is checked."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from chaos.checker import check
from chaos.faults import Faults
from chaos.fleet import Fleet
from chaos.history import Recorder, read_history
from chaos.invariants import Violation
from chaos.process import NAMESPACE, ProcessOptions, Role, Style
from chaos.programs import task_fields
from chaos.proxy import Proxy
from chaos.server import Server
from converge_redis import RedisStore, TaskManager
from converge_redis.server.embedded import AppendFsync

TASKS_PER_READ = 500
DRAIN_SECONDS = 120.0
EXTRA_SECONDS = 60.0
"""Seconds after the limit for kinds of faults that were not injected yet."""

WAIT_FOR_EVERY = 8
"""A waiter waits for every eighth task."""


@dataclass(frozen=True)
class Plan:
    """The plan of a round.

    Attributes:
        seed: The seed of all random choices.
        tasks: The number of tasks.
        seconds: The seconds over which they are submitted, without faults.
        limit: Seconds after which the faults end, once each kind was injected.
        fsync: The server's ``appendfsync``.
        workers: The number of worker processes.
        folder: The folder for all files.
    """

    seed: str
    tasks: int
    seconds: float
    limit: float
    fsync: AppendFsync
    workers: int
    folder: Path


@dataclass
class RoundResult:
    """The result of a round.

    Attributes:
        faults: The number of faults by kind.
        counts: The number of calls and tasks by kind.
        violations: All violations.
    """

    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class Round:
    """Runs a plan.

    Args:
        plan: The plan.

    Attributes:
        faults: The faults.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._history = plan.folder / "history"
        logs = plan.folder / "logs"
        for folder in (self._history, logs):
            folder.mkdir(parents=True)
        self._server = Server(plan.folder / "data", plan.fsync)
        self._server.start()
        self._proxy = Proxy(self._server.port, Random(f"{plan.seed}/proxy"))
        self._fleet = Fleet(logs)
        self.faults = Faults(self._server, self._proxy, self._fleet, Random(f"{plan.seed}/faults"))
        self._result = RoundResult()

    def run(self) -> RoundResult:
        """Run the plan, and check the history."""
        try:
            self._start()
            self._inject_faults()
            quiet_at = self._drain()
            self._read_all_tasks()
        finally:
            self._fleet.close()
            self._proxy.close()
            self._server.stop()
        checked = check(read_history(self._history), quiet_at)
        result = self._result
        result.counts = checked.counts
        result.violations += checked.violations
        result.violations += [Violation("process", "", failure) for failure in self._fleet.failed()]
        result.faults = self.faults.counts + self._proxy.effects
        return result

    def _start(self) -> None:
        plan = self._plan
        half = plan.tasks // 2
        submitters = [
            self._options("submitter", "single", "sync", tasks=plan.tasks - half, max_batch=1),
            self._options("submitter", "many", "async", tasks=half, max_batch=40),
        ]
        names = [(self._fleet.start(options).options.name, options.tasks) for options in submitters]
        ids = [f"{name}-{number:06d}" for name, tasks in names for number in range(0, tasks, WAIT_FOR_EVERY)]
        ids.sort(key=lambda task_id: task_id.rpartition("-")[2])
        self._fleet.start(self._options("waiter", "waits", "sync", agents=6, task_ids=tuple(ids[::2])))
        self._fleet.start(self._options("waiter", "awaits", "async", agents=24, task_ids=tuple(ids[1::2])))
        for number in range(plan.workers):
            options = (
                self._options("worker", f"w{number}", "async", agents=8)
                if number % 3 == 2
                else self._options("worker", f"w{number}", "sync", agents=3)
            )
            self._fleet.start(options)

    def _options(self, role: Role, name: str, style: Style, **more: Any) -> ProcessOptions:
        plan = self._plan
        return ProcessOptions(
            role,
            name,
            style,
            self._proxy.url,
            str(self._history),
            plan.seed,
            seconds=plan.seconds,
            **more,
        )

    def _inject_faults(self) -> None:
        """Inject faults until each kind was injected, and all tasks are submitted or the limit is over."""
        deadline = time.monotonic() + self._plan.limit
        while time.monotonic() < deadline + EXTRA_SECONDS:
            is_over = time.monotonic() > deadline or not self._fleet.running("submitter")
            if is_over and self.faults.is_complete:
                break
            time.sleep(self.faults.pause())
            self.faults.inject_next()
            self.faults.counts["worker crashed in the middle of its work"] = self._fleet.replace_crashed()
        self.faults.undo_all()

    def _drain(self) -> int:
        """Wait without faults until all tasks have ended; return the time when they had."""
        late = not _wait_until(lambda: not self._fleet.running("submitter"), DRAIN_SECONDS)
        with RedisStore.from_url(self._server.url, NAMESPACE) as store:
            manager = TaskManager(store)

            def all_ended() -> bool:
                self._fleet.replace_crashed()
                counts = manager.counts()
                return counts["pending"] + counts["assigned"] + counts["running"] == 0

            if late or not _wait_until(all_ended, DRAIN_SECONDS):
                self._add_violation(
                    "not_drained", f"{manager.counts()} after {DRAIN_SECONDS:.0f} s without faults"
                )
        quiet_at = time.monotonic_ns()
        for role in ("waiter", "worker", "submitter"):
            for failure in self._fleet.end(role):
                self._add_violation("process", failure)
        return quiet_at

    def _read_all_tasks(self) -> None:
        """Read all tasks at the end, and audit the store."""
        recorder = Recorder(self._history, "main")
        with RedisStore.from_url(self._server.url, NAMESPACE) as store:
            manager = TaskManager(store)
            prefix = store._namespace.keys.shard_names(0)["t:"]
            stored = {
                key.decode().removeprefix(prefix)
                for key in self._server.client().scan_iter(f"{prefix}*", count=1000)
            }
            submitted = {
                task_id
                for call in read_history(self._history)
                if call.method in {"submit", "submit_many"}
                for task_id, _ in call.arguments["tasks"]
            }
            ids = sorted(stored | submitted)
            for first in range(0, len(ids), TASKS_PER_READ):
                batch = ids[first : first + TASKS_PER_READ]
                with recorder.call("final") as call:
                    tasks = manager.get_tasks(batch)
                    call.result = {
                        task_id: task_fields(task) for task_id, task in zip(batch, tasks, strict=True)
                    }
            for violation in manager.audit():
                self._add_violation("audit", str(violation))
        recorder.close()

    def _add_violation(self, kind: str, detail: str) -> None:
        self._result.violations.append(Violation(kind, "", detail))


def _wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait until a condition holds; return False if it does not within some seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
