"""Those who wait for tasks to end.

A message is a hint, the state is the truth. A script reads a task and has the listener told of its end in one
step, so that no end falls in between; each task is read again when the connection had to be made anew, and as
a last resort every minute or so: a lost message delays a waiter, it never strands it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence

from converge_redis.errors import StoreUnavailableError
from converge_redis.operations.listening import Look
from converge_redis.task import Task

REREAD_SECONDS = 60.0
LONGEST_PAUSE = 2.0

Read = Callable[[Sequence[str]], Awaitable[dict[str, Look]]]
Forget = Callable[[Sequence[str]], Awaitable[None]]


class Wait:
    """One call that waits for some of several tasks.

    Args:
        task_ids: The tasks.
        enough: How many ends are enough.

    Attributes:
        open: The ids of tasks that have not ended.
        ended: Those that have, in the order in which they did.
    """

    __slots__ = ("_changed", "ended", "enough", "error", "open")

    def __init__(self, task_ids: Iterable[str], enough: int) -> None:
        self.open = dict.fromkeys(task_ids)
        self.enough = enough
        self.ended: list[Task] = []
        self.error: BaseException | None = None
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether enough tasks have ended, or none is left that could."""
        return len(self.ended) >= self.enough or not self.open

    def end(self, task_id: str, task: Task | None) -> None:
        """Note that a task has ended, or is unknown."""
        if task_id in self.open:
            del self.open[task_id]
            if task is not None:
                self.ended.append(task)
            if self.is_over:
                self._tell()

    def fail(self, error: BaseException) -> None:
        """End the call with an error."""
        self.error = error
        self._tell()

    def _tell(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    async def over(self) -> None:
        """Return when the wait is over; raises the error that ended it."""
        while self.error is None and not self.is_over:
            self._changed = asyncio.get_running_loop().create_future()
            await self._changed
        if self.error is not None:
            raise self.error


class Waits:
    """All calls of a listener that wait for tasks.

    Args:
        read: Reads tasks, and has the listener told of their ends.
        forget: Has the listener not told any more.
    """

    def __init__(self, read: Read, forget: Forget) -> None:
        self._read = read
        self._forget = forget
        self._waits = dict[str, list[Wait]]()  # task id → who waits for it
        self._unread = set[str]()  # ids of tasks that may have ended
        self._unwanted = set[str]()  # ids of tasks that nobody waits for any more
        self._timers = dict[str, asyncio.TimerHandle]()  # when time alone may end a task
        self._work = asyncio.Event()

    def add(self, wait: Wait) -> None:
        """Begin a wait."""
        for task_id in wait.open:
            self._waits.setdefault(task_id, []).append(wait)
            self._unread.add(task_id)
        self._work.set()

    def remove(self, wait: Wait) -> None:
        """End a wait, whatever it has seen."""
        for task_id in wait.open:
            waits = self._waits.get(task_id, [])
            if wait in waits:
                waits.remove(wait)
                if not waits:
                    self._drop(task_id)
                    self._unwanted.add(task_id)
        if self._unwanted:
            self._work.set()

    def on_end(self, task_id: str, task: Task | None) -> None:
        """Note that a task has ended, or is unknown."""
        for wait in self._drop(task_id):
            wait.end(task_id, task)

    def read_again(self, task_id: str) -> None:
        """Have a task read if somebody still waits for it."""
        if task_id in self._waits:
            self._unread.add(task_id)
            self._work.set()

    def read_all_again(self) -> None:
        """Have all tasks read that somebody waits for."""
        self._unread |= self._waits.keys()
        self._work.set()

    def fail_all(self, error: BaseException) -> None:
        """End all waits with an error."""
        for task_id in list(self._waits):
            self._fail(task_id, error)

    @property
    def watched(self) -> list[str]:
        """The ids of all tasks that the listener may be told of."""
        return [*self._waits, *self._unwanted]

    async def keep_reading(self) -> None:
        """Read tasks that may have ended, until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REREAD_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311
                    await self._work.wait()
            if not self._work.is_set():
                self._unread |= self._waits.keys()
            self._work.clear()
            unread, self._unread = [*self._unread & self._waits.keys()], set()
            unwanted, self._unwanted = [*self._unwanted - self._waits.keys()], set()
            try:
                if unwanted:
                    await self._forget(unwanted)
                if unread:
                    await self._look_at(unread)
            except BaseException as error:
                self._unread.update(unread)
                self._unwanted.update(unwanted)
                if not isinstance(error, StoreUnavailableError):
                    raise
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311
                self._work.set()

    async def _look_at(self, task_ids: list[str]) -> None:
        for task_id, look in (await self._read_each(task_ids)).items():
            if look.task is not None or not look.known:
                self.on_end(task_id, look.task)
            elif look.ends_in is not None and task_id in self._waits:
                self._cancel_timer(task_id)
                loop = asyncio.get_running_loop()
                self._timers[task_id] = loop.call_later(look.ends_in, self.read_again, task_id)

    async def _read_each(self, task_ids: list[str]) -> dict[str, Look]:
        """Read tasks together; when one cannot be read, in halves: only those who wait for it are told."""
        try:
            return await self._read(task_ids)
        except StoreUnavailableError:
            raise
        except Exception as error:
            if len(task_ids) == 1:
                self._fail(task_ids[0], error)
                return {}
        middle = len(task_ids) // 2
        return await self._read_each(task_ids[:middle]) | await self._read_each(task_ids[middle:])

    def _fail(self, task_id: str, error: BaseException) -> None:
        for wait in self._drop(task_id):
            wait.fail(error)

    def _drop(self, task_id: str) -> list[Wait]:
        self._cancel_timer(task_id)
        return self._waits.pop(task_id, [])

    def _cancel_timer(self, task_id: str) -> None:
        timer = self._timers.pop(task_id, None)
        if timer is not None:
            timer.cancel()
