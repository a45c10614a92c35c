"""What came of a run: the figures, and whether all is as it must be."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converge_redis.demo.analysis import Outcome
from converge_redis.demo.comparison import compare
from converge_redis.demo.folder import Finished
from converge_redis.demo.journal import Tally
from converge_redis.demo.plan import VICTIM
from converge_redis.demo.source import Source
from converge_redis.demo.total import Total
from converge_redis.tasks.model import TaskState

_MOST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """All that is known at the end.

    Attributes:
        server: Name and version of the server.
        processes: The number of processes that were started.
        sources: The files.
        finished: What the collector heard, by task id.
        total: What the collector added up.
        tally: What the workers' journals say.
        held: The ids of the tasks that the victim held when it was killed.
        violations: What the audits of the store found.
        seconds: From the start of the first process to the end of the last task.
        alone: What one process found, by task id.
        alone_total: What that adds up to.
        alone_seconds: How long that took.
    """

    server: str
    processes: int
    sources: Sequence[Source]
    finished: Mapping[str, Finished]
    total: Total
    tally: Tally
    held: Sequence[str]
    violations: Sequence[str]
    seconds: float
    alone: Mapping[str, Outcome]
    alone_total: Total
    alone_seconds: float

    @property
    def recovered(self) -> list[str]:
        """The ids of the tasks that were claimed again after a claim of theirs had expired."""
        return [task_id for task_id, one in self.finished.items() if one.attempts > 1]

    def problems(self) -> list[str]:
        """Return a line for each thing that is not as it must be; an empty list when all is well."""
        found = [f"differs: {line}" for line in compare(self.sources, self.finished, self.alone)]
        if self.total != self.alone_total:
            found.append("the collector's totals differ from those of one process")
        for source in self.sources:
            times = self.tally.accepted_of[source.id]
            if times != 1:
                found.append(f"{source.shown}: {times} results were accepted, not 1")
        if not self.held:
            found.append("the victim held no claim when it was killed")
        for task_id in self.held:
            one = self.finished.get(task_id)
            if one is not None and (one.attempts < 2 or one.agent == VICTIM.name):
                found.append(f"{task_id}, held by the victim, was not recovered by another worker")
        found += [f"audit: {violation}" for violation in self.violations]
        return found

    def lines(self) -> list[str]:
        """Return the figures for the user."""
        rows = [
            ("server", self.server),
            ("processes", f"{self.processes}, 1 killed with SIGKILL while it held {len(self.held)} claims"),
            ("tasks", f"{len(self.sources)}, one per file"),
            ("results", f"{self.total.parsed} parsed, {len(self._failed())} failed with a reason"),
            *self._failures(),
            ("claims per worker", _listed(self.tally.claimed)),
            (
                "claims recovered",
                f"{len(self.recovered)} tasks, {self._of_victim()} of them held by the killed worker",
            ),
            ("claims lost", f"{self.tally.lost.total()} outcomes refused, being too late"),
            ("accepted per task", self._accepted()),
            ("audit of the store", f"{len(self.violations)} violations"),
            ("wall time", f"{self.seconds:.1f} s, {len(self.sources) / self.seconds:.0f} tasks/s"),
            ("in one process", f"{self.alone_seconds:.1f} s, for the comparison"),
            (
                "found",
                f"{self.total.functions:,} functions and {self.total.classes:,} classes"
                f" in {self.total.lines:,} lines",
            ),
            ("imported most", _listed(dict(self.total.imports.most_common(8)))),
        ]
        return [f"{name:20}{value}" for name, value in rows]

    def _of_victim(self) -> int:
        return len({*self.recovered} & {*self.held})

    def _failed(self) -> list[tuple[Source, Finished]]:
        both = ((source, self.finished.get(source.id)) for source in self.sources)
        return [(source, one) for source, one in both if one is not None and one.state == TaskState.FAILED]

    def _failures(self) -> list[tuple[str, str]]:
        failed = self._failed()
        rows = []
        for source, one in failed[:_MOST_SHOWN]:
            reason = one.result
            place = f" (line {reason['line']})" if reason.get("line") else ""
            rows.append(("", f"- {source.shown}: {reason.get('error')}: {reason.get('message')}{place}"))
        if len(failed) > _MOST_SHOWN:
            rows.append(("", f"- and {len(failed) - _MOST_SHOWN} more"))
        return rows

    def _accepted(self) -> str:
        times = Counter(self.tally.accepted_of[source.id] for source in self.sources)
        return ", ".join(f"{number} for {tasks} tasks" for number, tasks in sorted(times.items()))


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(
        f"{name} {number}" for name, number in sorted(numbers.items(), key=lambda item: -item[1])
    )
