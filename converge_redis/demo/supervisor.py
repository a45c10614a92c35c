"""The supervisor of a run: starts the processes in order and kills one worker."""

import time
from collections.abc import Sequence

from converge_redis.demo.display import Display
from converge_redis.demo.fleet import Fleet, FleetError
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.journal import JournalCounts
from converge_redis.demo.plan import POOLS, VICTIM, topics_of, worker_plans
from converge_redis.demo.source import Source
from converge_redis.pools.manager import PoolManager
from converge_redis.pools.model import PoolSpec
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.manager import TaskManager

SUBMITTER, COLLECTOR, WORKER = "submitter", "collector", "worker"

_POLL_SEC = 0.1
_STALLED_SEC = 180.0
_KILL_AT = 0.25  # of all tasks


class Supervisor:
    """Starts and ends the processes of a run, and kills the victim on the way.

    Args:
        store: The store with the tasks.
        folder: The folder of the run.
        sources: The files.
        display: Shows the progress.

    Attributes:
        held_by_victim: The ids of the tasks that the victim held when it was killed; empty until then.
        journals: The counts of the workers' journals.
    """

    def __init__(self, store: RedisStore, folder: RunFolder, sources: list[Source], display: Display) -> None:
        self.held_by_victim: list[str] = []
        self.journals = JournalCounts(folder.path)
        self._tasks = TaskManager(store)
        self._display = display
        self._files = len(sources)
        self._progress = (0, time.monotonic())
        plans = worker_plans(topics_of(sources))
        self._workers = [plan.name for plan in plans]
        pools = PoolManager(store)
        for pool in POOLS:
            pools.create_pool(PoolSpec(id=pool))
        folder.write_start(store.name, sources, [VICTIM, *plans])

    def run(self, fleet: Fleet) -> None:
        """Run the fleet until the collector has the result of every task.

        Raises:
            FleetError: A process ended that should not have, or no task finishes any longer.
        """
        # The victim starts first, and the others once it holds claims: so one file is enough for a run.
        fleet.start(SUBMITTER)
        fleet.start(WORKER, VICTIM.name)
        while not self._claims_of_victim():
            fleet.has_finished(SUBMITTER)
            fleet.check([VICTIM.name])
            self._poll()
        for name in self._workers:
            fleet.start(WORKER, name)
        while not fleet.has_finished(SUBMITTER):
            self._poll()
        # A wait for a task that was not submitted yet would return at once.
        fleet.start(COLLECTOR)
        while not fleet.has_finished(COLLECTOR):
            fleet.check(self._workers)
            done = self._poll()
            if not self.held_by_victim:
                self._kill_victim_if_due(fleet, done)

    def stop_workers(self, fleet: Fleet) -> None:
        """Let the workers end, and read the last lines of their journals.

        Raises:
            FleetError: A worker failed.
        """
        fleet.stop(self._workers)
        self.journals.update()
        self._show(self._files)

    @property
    def killed_workers(self) -> list[str]:
        """The names of the workers that were killed."""
        return [VICTIM.name] if self.held_by_victim else []

    def _claims_of_victim(self) -> Sequence[str]:
        return [task.id for task in self._tasks.list_claims(VICTIM.name)]

    def _kill_victim_if_due(self, fleet: Fleet, done: int) -> None:
        """Kill the victim once enough tasks are done, but only while it holds claims."""
        if not self.journals.claimed[VICTIM.name]:
            return  # without a claim in its journal, the figures would not show the victim
        claims = self._claims_of_victim()
        if not claims or done < min(self._files * _KILL_AT, self._files - len(claims)):
            return
        # A suspended victim sends nothing. Requests that it has sent before are executed before the first
        # of these two calls returns, so the result of the second call is final.
        fleet.suspend(VICTIM.name)
        self._claims_of_victim()
        held = self._claims_of_victim()
        if not held:
            fleet.resume(VICTIM.name)  # its claims have expired meanwhile; it will claim other tasks
            return
        fleet.kill(VICTIM.name)
        self.held_by_victim = list(held)
        self._display.log(f"killed worker {VICTIM.name!r} with SIGKILL while it held {len(held)} claims")

    def _poll(self) -> int:
        """Sleep a moment, and show the progress.

        Returns:
            The number of finished tasks.

        Raises:
            FleetError: No task was finished for a long time.
        """
        time.sleep(_POLL_SEC)
        counts = self._tasks.counts()
        done = counts["completed"] + counts["failed"]
        self.journals.update()
        self._show(done)
        now = time.monotonic()
        if done > self._progress[0]:
            self._progress = (done, now)
        if now - self._progress[1] > _STALLED_SEC:
            raise FleetError(f"no task was finished for {_STALLED_SEC:.0f} s; {done} of {self._files} are")
        return done

    def _show(self, done: int) -> None:
        by_worker = {name: self.journals.accepted[name] for name in (VICTIM.name, *self._workers)}
        self._display.show("parsing", done, self._files, by_worker)
