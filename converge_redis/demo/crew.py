"""The course of a run: who starts when, and the killing of one worker."""

import time
from collections.abc import Sequence

from converge_redis.demo.display import Display
from converge_redis.demo.fleet import Fleet, FleetError
from converge_redis.demo.folder import RunFolder
from converge_redis.demo.journal import Tally
from converge_redis.demo.plan import POOLS, VICTIM, topics_of, workers
from converge_redis.demo.source import Source
from converge_redis.pools.manager import PoolManager
from converge_redis.pools.model import PoolSpec
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.manager import TaskManager

SUBMITTER, COLLECTOR, WORKER = "submitter", "collector", "worker"

_LOOK_EVERY_SEC = 0.1
_STALLED_SEC = 180.0
_KILL_AT = 0.25  # of all tasks


class Crew:
    """Leads the processes of a run through it.

    Args:
        store: Where the tasks are.
        folder: The run.
        sources: The files.
        display: What the user sees.

    Attributes:
        held: The ids of the tasks that the victim held when it was killed.
        tally: What the workers' journals say.
    """

    def __init__(self, store: RedisStore, folder: RunFolder, sources: list[Source], display: Display) -> None:
        self.held: list[str] = []
        self.tally = Tally(folder.path)
        self._tasks = TaskManager(store)
        self._display = display
        self._files = len(sources)
        self._progress = (0, time.monotonic())
        plans = workers(topics_of(sources))
        self._workers = [plan.name for plan in plans]
        pools = PoolManager(store)
        for pool in POOLS:
            pools.create_pool(PoolSpec(id=pool))
        folder.write_start(store.name, sources, [VICTIM, *plans])

    def work(self, fleet: Fleet) -> None:
        """Lead the fleet until the collector has heard of every task.

        Raises:
            FleetError: A process ended that should not have, or the work does not go on.
        """
        # The victim goes first and the others once it holds claims, so that even one file is enough for all.
        fleet.start(SUBMITTER)
        fleet.start(WORKER, VICTIM.name)
        while not self._victims_claims():
            fleet.has_finished(SUBMITTER)
            fleet.check([VICTIM.name])
            self._look()
        for name in self._workers:
            fleet.start(WORKER, name)
        while not fleet.has_finished(SUBMITTER):
            self._look()
        # A wait for a task that nobody has submitted would end at once.
        fleet.start(COLLECTOR)
        while not fleet.has_finished(COLLECTOR):
            fleet.check(self._workers)
            done = self._look()
            if not self.held:
                self._kill_when_due(fleet, done)

    def dismiss(self, fleet: Fleet) -> None:
        """End the workers, in peace, and count what they did.

        Raises:
            FleetError: One of them failed.
        """
        fleet.stop(self._workers)
        self.tally.update()
        self._show(self._files)

    def _victims_claims(self) -> Sequence[str]:
        return [task.id for task in self._tasks.list_claims(VICTIM.name)]

    def _kill_when_due(self, fleet: Fleet, done: int) -> None:
        """Kill the victim once the others have done their share; only ever while it holds claims."""
        claims = self._victims_claims()
        if not claims or done < min(self._files * _KILL_AT, self._files - len(claims)):
            return
        # Frozen, it can send nothing more. What it has sent is in the server's hands, which the first look
        # lets it get through with, so that the second tells for certain.
        fleet.freeze(VICTIM.name)
        self._victims_claims()
        held = self._victims_claims()
        if not held:
            fleet.thaw(VICTIM.name)  # its claims have expired meanwhile; it will claim others
            return
        fleet.kill(VICTIM.name)
        self.held = list(held)
        self._display.tell(f"worker {VICTIM.name!r} killed with SIGKILL while it holds {len(held)} claims")

    def _look(self) -> int:
        """Let some time pass, and show how far the work is.

        Returns:
            The number of finished tasks.

        Raises:
            FleetError: None was finished for long.
        """
        time.sleep(_LOOK_EVERY_SEC)
        counts = self._tasks.counts()
        done = counts["completed"] + counts["failed"]
        self.tally.update()
        self._show(done)
        now = time.monotonic()
        if done > self._progress[0]:
            self._progress = (done, now)
        if now - self._progress[1] > _STALLED_SEC:
            raise FleetError(f"no task was finished for {_STALLED_SEC:.0f} s; {done} of {self._files} are")
        return done

    def _show(self, done: int) -> None:
        by_worker = {name: self.tally.accepted[name] for name in (VICTIM.name, *self._workers)}
        self._display.show("parsing", done, self._files, by_worker)
