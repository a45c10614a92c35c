"""One round: a fleet works under faults, then in peace until nothing is left, and is held to account."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from chaos.acts import seen
from chaos.checker import check
from chaos.faults import Faults
from chaos.fleet import Fleet
from chaos.history import Recorder, read_history
from chaos.invariants import Violation
from chaos.process import NAMESPACE, Orders, Role, Style
from chaos.proxy import Proxy
from chaos.server import Server
from converge_redis import RedisStore, TaskManager
from converge_redis.server.embedded import AppendFsync

READ_TOGETHER = 500
DRAIN_SECONDS = 40.0
WAITED_FOR = 8
"""One of so many tasks has somebody who waits for it."""


@dataclass(frozen=True)
class Plan:
    """What a round is to be.

    Attributes:
        seed: What decides all.
        tasks: How many tasks are submitted.
        seconds: How long that takes at least.
        limit: The most seconds under faults.
        fsync: The server's ``appendfsync``.
        workers: The number of worker processes.
        folder: Where everything is written.
    """

    seed: str
    tasks: int
    seconds: float
    limit: float
    fsync: AppendFsync
    workers: int
    folder: Path


@dataclass
class Account:
    """What came of a round."""

    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class Round:
    """Carries a plan out.

    Args:
        plan: The plan.
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
        self._faults = Faults(self._server, self._proxy, self._fleet, Random(f"{plan.seed}/faults"))
        self._account = Account()

    def run(self) -> Account:
        """Carry it out, and return what came of it."""
        try:
            self._start()
            self._break_things()
            quiet_at = self._drain()
            self._read_all()
        finally:
            self._fleet.close()
            self._proxy.close()
            self._server.stop()
        verdict = check(read_history(self._history), quiet_at)
        account = self._account
        account.counts = verdict.counts
        account.violations += verdict.violations
        account.violations += [Violation("process", "", failure) for failure in self._fleet.failed()]
        account.faults = self._faults.counts + self._proxy.effects
        return account

    def _start(self) -> None:
        plan = self._plan
        half = plan.tasks // 2
        submitters = [
            self._orders("submitter", "single", "sync", tasks=plan.tasks - half, together=1),
            self._orders("submitter", "many", "async", tasks=half, together=40),
        ]
        names = [(self._fleet.start(orders).orders.name, orders.tasks) for orders in submitters]
        ids = [f"{name}-{number:06d}" for name, tasks in names for number in range(0, tasks, WAITED_FOR)]
        ids.sort(key=lambda task_id: task_id.rpartition("-")[2])
        self._fleet.start(self._orders("waiter", "waits", "sync", agents=6, task_ids=tuple(ids[::2])))
        self._fleet.start(self._orders("waiter", "awaits", "async", agents=24, task_ids=tuple(ids[1::2])))
        for number in range(plan.workers):
            orders = (
                self._orders("worker", f"w{number}", "async", agents=8)
                if number % 3 == 2
                else self._orders("worker", f"w{number}", "sync", agents=3)
            )
            self._fleet.start(orders)

    def _orders(self, role: Role, name: str, style: Style, **more: Any) -> Orders:
        plan = self._plan
        return Orders(
            role,
            name,
            style,
            self._proxy.url,
            str(self._history),
            plan.seed,
            seconds=plan.seconds,
            **more,
        )

    def _break_things(self) -> None:
        """Break something now and then, until all is submitted and every kind of fault has been."""
        ends = time.monotonic() + self._plan.limit
        while time.monotonic() < ends:
            everything = len(self._faults.counts) == len(self._faults.kinds)
            if everything and not self._fleet.running("submitter"):
                break
            time.sleep(self._faults.pause())
            self._faults.go_on()
            self._faults.counts["worker crashed in the middle of its work"] = self._fleet.replace_crashed()
        self._faults.end()

    def _drain(self) -> int:
        """Let the fleet finish in peace; returns when it had."""
        late = _until(lambda: not self._fleet.running("submitter"), DRAIN_SECONDS)
        with RedisStore.from_url(self._server.url, NAMESPACE) as store:
            manager = TaskManager(store)

            def all_done() -> bool:
                self._fleet.replace_crashed()
                counts = manager.counts()
                return counts["pending"] + counts["assigned"] + counts["running"] == 0

            if late or _until(all_done, DRAIN_SECONDS):
                self._violated("not_drained", f"{manager.counts()} after {DRAIN_SECONDS} s in peace")
        quiet_at = time.monotonic_ns()
        for role in ("waiter", "worker", "submitter"):
            for failure in self._fleet.end(role):
                self._violated("process", failure)
        return quiet_at

    def _read_all(self) -> None:
        """Read what is stored at the end, and audit it."""
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
                if call.verb in {"submit", "submit_many"}
                for task_id, _ in call.arguments["tasks"]
            }
            ids = sorted(stored | submitted)
            for first in range(0, len(ids), READ_TOGETHER):
                chunk = ids[first : first + READ_TOGETHER]
                with recorder.call("final") as outcome:
                    tasks = manager.get_tasks(chunk)
                    outcome.result = {task_id: seen(task) for task_id, task in zip(chunk, tasks, strict=True)}
            for violation in manager.audit():
                self._violated("audit", str(violation))
        recorder.close()

    def _violated(self, kind: str, detail: str) -> None:
        self._account.violations.append(Violation(kind, "", detail))


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    """Wait for something; tell whether it took too long."""
    ends = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > ends:
            return True
        time.sleep(0.1)
    return False
