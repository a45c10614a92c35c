"""The summary of a run: its figures, and the checks that decide whether it passes."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from converge_redis.demo.analysis import Outcome
from converge_redis.demo.comparison import compare
from converge_redis.demo.folder import FinishedTask
from converge_redis.demo.journal import JournalCounts
from converge_redis.demo.plan import VICTIM
from converge_redis.demo.source import Source
from converge_redis.demo.total import Total
from converge_redis.tasks.model import TaskState

_MAX_FAILURES_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Summary:
    """The results of a run, and what they are checked against.

    Attributes:
        server: Name and version of the server.
        processes: The number of processes that were started.
        sources: The files.
        finished: The finished tasks, as stored on the server, by id.
        total: The collector's total.
        journals: The counts of the workers' journals.
        killed_workers: The names of the workers that were killed.
        held_by_victim: The ids of the tasks that the victim held when it was killed.
        violations: The violations that the audits of the store found.
        seconds: Seconds from the start of the first process to the end of the last task.
        expected: The outcomes of one process by task id.
        expected_total: Their total.
        expected_seconds: The seconds that one process took.
    """

    server: str
    processes: int
    sources: Sequence[Source]
    finished: Mapping[str, FinishedTask]
    total: Total
    journals: JournalCounts
    killed_workers: Sequence[str]
    held_by_victim: Sequence[str]
    violations: Sequence[str]
    seconds: float
    expected: Mapping[str, Outcome]
    expected_total: Total
    expected_seconds: float

    @property
    def recovered(self) -> list[str]:
        """The ids of the tasks that were claimed again after a claim had expired."""
        return [task_id for task_id, task in self.finished.items() if task.attempts > 1]

    def accepted_results(self, task_id: str) -> int:
        """Return how many results of a task the server accepted.

        The journals count, and for a killed worker the store too: the worker may have been killed after the
        server accepted its result and before it wrote that to its journal.
        """
        count = self.journals.accepted_of[task_id]
        task = self.finished.get(task_id)
        if task is None or task.agent is None or task.agent not in self.killed_workers:
            return count
        return count + (not self.journals.has_accepted(task.agent, task_id))

    def problems(self) -> list[str]:
        """Return a line for each failed check; an empty list when the run passes."""
        found = [f"differs: {line}" for line in compare(self.sources, self.finished, self.expected)]
        if self.total != self.expected_total:
            found.append("the collector's total differs from that of one process")
        for source in self.sources:
            accepted = self.accepted_results(source.id)
            if accepted != 1:
                found.append(f"{source.display_name}: {accepted} results were accepted, not 1")
        if not self.held_by_victim:
            found.append("the victim held no claim when it was killed")
        for task_id in self.held_by_victim:
            task = self.finished.get(task_id)
            if task is not None and (task.attempts < 2 or task.agent == VICTIM.name):
                found.append(f"{task_id}, held by the victim, was not finished by another worker")
        found += [f"audit: {violation}" for violation in self.violations]
        return found

    def lines(self) -> list[str]:
        """Return the figures as lines of text."""
        rows = [
            ("server", self.server),
            (
                "processes",
                f"{self.processes}, 1 killed with SIGKILL while it held {len(self.held_by_victim)} claims",
            ),
            ("tasks", f"{len(self.sources)}, one per file"),
            ("results", f"{self.total.parsed} parsed, {len(self._failed())} failed with a reason"),
            *self._failures(),
            ("claims per worker", _listed(self.journals.claimed)),
            ("claims recovered", self._recoveries()),
            ("claims lost", f"{self.journals.lost.total()} results rejected because the claim had expired"),
            ("accepted results", self._accepted()),
            ("audit of the store", f"{len(self.violations)} violations"),
            ("wall time", f"{self.seconds:.1f} s, {len(self.sources) / self.seconds:.0f} tasks/s"),
            ("one process", f"{self.expected_seconds:.1f} s for the same files"),
            (
                "found",
                f"{self.total.functions:,} functions and {self.total.classes:,} classes"
                f" in {self.total.lines:,} lines",
            ),
            ("imported most", _listed(dict(self.total.imports.most_common(8)))),
        ]
        return [f"{name:20}{value}" for name, value in rows]

    def _recoveries(self) -> str:
        of_victim = len({*self.recovered} & {*self.held_by_victim})
        return f"{len(self.recovered)} tasks, {of_victim} of them held by the killed worker"

    def _failed(self) -> list[tuple[Source, FinishedTask]]:
        pairs = ((source, self.finished.get(source.id)) for source in self.sources)
        return [
            (source, task) for source, task in pairs if task is not None and task.state == TaskState.FAILED
        ]

    def _failures(self) -> list[tuple[str, str]]:
        failed = self._failed()
        rows = []
        for source, task in failed[:_MAX_FAILURES_SHOWN]:
            reason = task.result
            place = f" (line {reason['line']})" if reason.get("line") else ""
            rows.append(
                ("", f"- {source.display_name}: {reason.get('error')}: {reason.get('message')}{place}")
            )
        if len(failed) > _MAX_FAILURES_SHOWN:
            rows.append(("", f"- and {len(failed) - _MAX_FAILURES_SHOWN} more"))
        return rows

    def _accepted(self) -> str:
        times = Counter(self.accepted_results(source.id) for source in self.sources)
        return ", ".join(f"{number} per task ({tasks} tasks)" for number, tasks in sorted(times.items()))


def _listed(numbers: Mapping[str, int]) -> str:
    return ", ".join(
        f"{name} {number}" for name, number in sorted(numbers.items(), key=lambda item: -item[1])
    )
