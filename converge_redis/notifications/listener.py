"""The listener: what one process and event loop is told by the server, and who there waits for it."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Protocol, TypeVar

import redis.asyncio

from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Steps, ask_all
from converge_redis.errors import ConvergeError, StoreClosedError, StoreReplyError, StoreUnavailableError
from converge_redis.notifications import watching
from converge_redis.notifications.near_entries import NearCopies
from converge_redis.notifications.renewed_lock import KeptLock
from converge_redis.notifications.subscription import Channel, Tracking
from converge_redis.notifications.waiters import Wait, Waits
from converge_redis.notifications.watchers import Name, Watches
from converge_redis.tasks import submit as submitting
from converge_redis.tasks import waiters as listening
from converge_redis.tasks.claim_queue import Claimer, Claimers, Visible
from converge_redis.tasks.due_timer import TimeKeeper
from converge_redis.tasks.model import Task
from converge_redis.tasks.replies import read_told_task

T = TypeVar("T")

FAREWELL_SECONDS = 2.0
"""The most that a listener takes to leave nothing behind."""


class Run(Protocol):
    """How a listener has work carried out."""

    async def __call__(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out an operation, or steps."""
        ...


class Listener:
    """Waits for messages on behalf of all verbs of one store in one event loop.

    Args:
        client: The client whose settings the connection is made with.
        space: The namespace.
        run: Carries out work on the server.
        settled: Waits until the calls that are under way have ended.
        copies: The copies of what was read, to be told what changes; None: there are none.

    Attributes:
        id: What the server knows it by.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        space: Namespace,
        run: Run,
        settled: Callable[[], Awaitable[None]],
        copies: NearCopies | None = None,
    ) -> None:
        self._space = space
        self._run = run
        self.id = call_id()
        names = [space.keys.channel(shard, self.id) for shard in range(space.shards + 1)]
        tracking = None if copies is None else Tracking(copies, space.keys.tracked())
        self._channel = Channel(client, names, self._on_heard, self._on_message, tracking)
        self._waits: Waits[str, Task] = Waits(self._read, self._forget)
        self.watches = Watches(self._look, self._look_away)
        self._time = TimeKeeper(lambda shard: run(listening.tick(space, shard, self.id)))
        self._claimers = Claimers(
            self.id,
            lambda: self._channel.is_heard,
            self._renew,
            self._leave,
            self._pass_on,
            self._time.set,
            settled,
        )
        self._settled = settled
        self._last_runs = set[asyncio.Task[None]]()
        self._kept_locks = set[KeptLock]()
        self._holders = dict[tuple[str, int], Callable[[], None]]()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    def start(self) -> None:
        """Begin to listen; in the event loop.

        Raises:
            StoreClosedError: The listener was closed.
        """
        if self._closed:
            raise _closed()
        if not self._tasks:
            self._channel.is_stopped = False
            loops: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (
                self._time.keep_ticking,
                self._claimers.keep_renewing,
                self._claimers.keep_leaving,
                self._waits.keep_reading,
                self.watches.waits.keep_reading,
                self._channel.keep,
            )
            self._tasks = [asyncio.create_task(loop()) for loop in loops]
            for task in self._tasks:
                task.add_done_callback(self._on_end)

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        """Tell all who wait when one of the loops ended by an error that it cannot live with."""
        error = None if task.cancelled() else task.exception()
        if self._closed or task not in self._tasks:
            return
        tasks, self._tasks = self._tasks, []  # the next wait begins anew
        self._channel.is_stopped = True
        for other in tasks:
            other.cancel()
        self._fail_all(error or StoreUnavailableError("the listener was cancelled from outside; wait again"))

    def _fail_all(self, error: BaseException) -> None:
        self._waits.fail_all(error)
        self.watches.waits.fail_all(error)
        self._claimers.fail_all(error)

    async def aclose(self) -> None:
        """End all waits with `StoreClosedError`, and leave nothing behind."""
        self._closed = self._channel.is_stopped = True
        for task in self._tasks:
            task.cancel()
        watched = set(self._waits.watched)
        self._fail_all(_closed())
        await asyncio.gather(*self._tasks, return_exceptions=True)
        watched |= set(self._waits.watched)  # and what the reading loop was about to forget
        if self._tasks:
            with contextlib.suppress(ConvergeError, TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._say_farewell([*watched])

    async def _say_farewell(self, watched: Sequence[str]) -> None:
        for lock in (locks := list(self._kept_locks)):
            lock.abandon()
        last = [*(lock.task for lock in locks), *self._last_runs]
        await asyncio.gather(*last, return_exceptions=True)
        if watched:
            await self._forget(watched)
        await self.watches.forget_all()
        if self._claimers.is_used:
            self._claimers.leave_all()
            await self._claimers.settle()
            for shard in range(self._space.shards):
                await self._run(listening.close_listener(self._space, shard, self.id))

    # For verbs

    def join(self, visible: Visible) -> Claimer:
        """Add a claimer that may wait; from any thread, once the listener was started."""
        if self._closed:
            raise _closed()
        return self._claimers.join(visible)

    def begin_wait(self, task_ids: Sequence[str], enough: int) -> Wait[str, Task]:
        """Begin to wait for tasks; end it with `end_wait`."""
        self.start()
        wait: Wait[str, Task] = Wait(task_ids, enough)
        self._waits.add(wait)
        return wait

    async def submit_and_wait(self, space: Namespace, entry: submitting.Entry) -> Wait[str, Task]:
        """Submit a task, and begin to wait for it; end it with `end_wait`."""
        self.start()
        task_id: str = entry[0]
        wait: Wait[str, Task] = Wait((task_id,), 1)
        self._waits.add(wait, is_there=False)
        is_told = False
        try:
            is_told = await self._run(submitting.submit_watched(space, entry, self.id))
        except BaseException:
            self._waits.remove(wait)
            raise
        finally:
            self._waits.there(task_id, read=not is_told)
        return wait

    def end_wait(self, wait: Wait[str, Task]) -> None:
        """End a wait, whatever it has seen."""
        self._waits.remove(wait)

    def hold(self, task_id: str, claim_token: int, on_doubt: Callable[[], None]) -> None:
        """Have something called when a claim that this listener made ends by somebody else's doing.

        And when it may have ended unheard, since the connection had to be made anew.
        """
        self._holders[task_id, claim_token] = on_doubt

    def let_go(self, task_id: str, claim_token: int) -> None:
        """Undo `hold`."""
        self._holders.pop((task_id, claim_token), None)

    def keep_lock(
        self, seconds: float, renew: Callable[[], Operation[bool]], release: Callable[[], Operation[None]]
    ) -> KeptLock:
        """Renew a lock until it is told to stop; in the event loop.

        Args:
            seconds: How long the lock lasts.
            renew: Makes what renews it, and tells whether it was held still.
            release: Makes what gives it up.
        """
        lock = KeptLock(self._run, seconds, renew, release)
        self._kept_locks.add(lock)
        lock.task.add_done_callback(lambda _task: self._kept_locks.discard(lock))
        return lock

    def run_at_last(self, operation: Operation[None]) -> None:
        """Carry something out after all that is under way now, for somebody who does not wait for it."""
        task = asyncio.get_running_loop().create_task(self._run_at_last(operation))
        self._last_runs.add(task)
        task.add_done_callback(self._last_runs.discard)

    async def _run_at_last(self, operation: Operation[None]) -> None:
        await self._settled()
        with contextlib.suppress(ConvergeError):
            await self._run(operation)

    # What the server tells

    def _on_heard(self) -> None:
        self._waits.read_all_again()
        self.watches.waits.read_all_again()
        self._claimers.on_heard()
        for on_doubt in list(self._holders.values()):
            on_doubt()

    def _on_message(self, shard: int, message: bytes) -> None:
        kind, _, text = message.partition(b" ")
        if kind == b"done":
            task_id, read = read_told_task(text)
            try:
                task = read()
            except StoreReplyError:
                task = None  # who waits for it is told by the next reading
            if task is None:
                self._waits.read_again(task_id)
            else:
                self._waits.on_end(task_id, task)
        elif kind == b"work":
            number, _, lane = text.partition(b" ")
            self._claimers.on_work(shard, int(number), lane.decode())
        elif kind == b"lost":
            token, _, task_id_bytes = text.partition(b" ")
            on_doubt = self._holders.pop((task_id_bytes.decode(), int(token)), None)
            if on_doubt is not None:
                on_doubt()
        elif kind == b"news":
            self.watches.on_news(shard, text.decode())
        elif kind == b"time":
            self._time.set(shard, int(text) / 1e6)

    # What the parts ask of the server

    async def _read(self, task_ids: Sequence[str]) -> dict[str, listening.Look[Task]]:
        return await self._run(listening.watch_tasks(self._space, self.id, task_ids))

    async def _forget(self, task_ids: Sequence[str]) -> None:
        await self._run(listening.unwatch_tasks(self._space, self.id, task_ids))

    async def _look(
        self, sessions: Sequence[watching.Watched[Any]]
    ) -> dict[watching.Watched[Any], listening.Look[Any]]:
        looks = await self._run(ask_all([watched.look(self.id) for watched in sessions]))
        return dict(zip(sessions, looks, strict=True))

    async def _look_away(self, names: Sequence[Name]) -> None:
        by_shard: dict[int, list[str]] = {}
        for shard, what in names:
            by_shard.setdefault(shard, []).append(what)
        for shard, of_shard in by_shard.items():
            for start in range(0, len(of_shard), listening.TASKS_PER_SCRIPT):
                part = of_shard[start : start + listening.TASKS_PER_SCRIPT]
                await self._run(watching.look_away(self._space, shard, self.id, part))

    async def _renew(self, shard: int, visible: Visible, numbers: Sequence[int]) -> list[tuple[str, int]]:
        operation = listening.renew(self._space, shard, self.id, visible, numbers)
        tick_in, lanes = await self._run(operation)
        if tick_in is not None:
            self._time.set(shard, tick_in)
        return lanes

    async def _leave(self, shard: int, visible: Visible, numbers: Sequence[int]) -> None:
        await self._run(listening.leave_queue(self._space, shard, self.id, visible, numbers))

    async def _pass_on(self, shard: int, lane: str) -> None:
        await self._run(listening.pass_on(self._space, shard, lane))


def _closed() -> StoreClosedError:
    return StoreClosedError("the store was closed; make a new one to wait again")
