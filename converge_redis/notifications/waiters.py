"""Those who wait for something to happen: for tasks to end, for sessions to change.

A message is a hint, the state is the truth. A script looks at the thing and has the listener told of the
event in one step, so that none falls in between; each is looked at again when the connection had to be made
anew, and as a last resort every minute or so: a lost message delays a waiter, it never strands it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from converge_redis.errors import StoreUnavailableError
from converge_redis.tasks.waiters import Look

REREAD_SECONDS = 60.0
LONGEST_PAUSE = 2.0

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")
Read = Callable[[Sequence[K]], Awaitable[dict[K, Look[T]]]]
Forget = Callable[[Sequence[K]], Awaitable[None]]


class Wait(Generic[K, T]):
    """One call that waits for some of several things: of tasks, that they end.

    Args:
        keys: What they are known by, such as the ids of tasks.
        enough: How many are enough.

    Attributes:
        open: Those that have not happened.
        ended: What has, in that order.
    """

    __slots__ = ("_changed", "ended", "enough", "error", "keys", "open")

    def __init__(self, keys: Iterable[K], enough: int) -> None:
        self.keys = tuple(keys)
        self.open = dict.fromkeys(self.keys)
        self.enough = enough
        self.ended: list[T] = []
        self.error: BaseException | None = None
        self._changed: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """Whether enough tasks have ended, or none is left that could."""
        return len(self.ended) >= self.enough or not self.open

    def end(self, key: K, found: T | None) -> None:
        """Note that a task has ended, or is unknown."""
        if key in self.open:
            del self.open[key]
            if found is not None:
                self.ended.append(found)
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


class Waits(Generic[K, T]):
    """All calls of a listener that wait for tasks.

    Args:
        read: Reads tasks, and has the listener told of their ends.
        forget: Has the listener not told any more.
    """

    def __init__(self, read: Read[K, T], forget: Forget[K]) -> None:
        self._read = read
        self._forget = forget
        self._waits = dict[K, list[Wait[K, T]]]()  # who waits for what
        self._unread = set[K]()  # what may have happened
        self._unwanted = set[K]()  # what nobody waits for any more
        self._not_there = dict[K, int]()  # what is not to be read yet, and for how many
        self._timers = dict[K, asyncio.TimerHandle]()  # when time alone may make it happen
        self._work = asyncio.Event()

    def add(self, wait: Wait[K, T], *, is_there: bool = True) -> None:
        """Begin a wait.

        Args:
            wait: The wait.
            is_there: False for what is only about to be made: it is not read before `there` is called.
        """
        for key in wait.open:
            self._waits.setdefault(key, []).append(wait)
        if is_there:
            self._unread.update(wait.open)
            self._work.set()
        else:
            for key in wait.open:
                self._not_there[key] = self._not_there.get(key, 0) + 1

    def there(self, key: K, *, read: bool) -> None:
        """What was about to be made is there, or will not be; `read`: whether to read it now."""
        self._not_there[key] -= 1
        if not self._not_there[key]:
            del self._not_there[key]
        if read:
            self._unread.add(key)
        if key in self._unread:
            self._work.set()

    def remove(self, wait: Wait[K, T]) -> None:
        """End a wait, whatever it has seen."""
        for key in wait.open:
            waits = self._waits.get(key, [])
            if wait in waits:
                waits.remove(wait)
                if not waits:
                    self._drop(key)
                    self._unwanted.add(key)
        if self._unwanted:
            self._work.set()

    def on_end(self, key: K, found: T | None) -> None:
        """Note that a task has ended, or is unknown."""
        for wait in self._drop(key):
            wait.end(key, found)

    def read_again(self, key: K) -> None:
        """Have a task read if somebody still waits for it."""
        if key in self._waits:
            self._unread.add(key)
            self._work.set()

    def read_all_again(self) -> None:
        """Have all tasks read that somebody waits for."""
        self._unread |= self._waits.keys()
        self._work.set()

    def fail_all(self, error: BaseException) -> None:
        """End all waits with an error."""
        for key in list(self._waits):
            self._fail(key, error)

    @property
    def watched(self) -> list[K]:
        """The ids of all tasks that the listener may be told of."""
        return [*self._waits, *self._unwanted]

    async def keep_reading(self) -> None:
        """Read tasks that may have ended, until cancelled; all of them from time to time."""
        loop = asyncio.get_running_loop()
        all_due = loop.time() + _reread_seconds()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(all_due):
                    await self._work.wait()
            if loop.time() >= all_due:
                all_due = loop.time() + _reread_seconds()
                self._unread |= self._waits.keys()
            self._work.clear()
            unread: list[K] = []
            unwanted, self._unwanted = [*self._unwanted - self._waits.keys()], set()
            try:
                if unwanted:
                    await self._forget(unwanted)
                unread = [key for key in self._unread if key in self._waits and key not in self._not_there]
                self._unread = {key for key in self._unread if key in self._not_there}
                if unread:
                    await self._look_at(unread)
            except BaseException as error:
                self._unread.update(unread)
                self._unwanted.update(unwanted)
                if not isinstance(error, StoreUnavailableError):
                    raise
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311
                self._work.set()

    async def _look_at(self, keys: list[K]) -> None:
        asked = {key: list(self._waits[key]) for key in keys}
        for key, look in (await self._read_each(keys)).items():
            if look.found is not None:
                self.on_end(key, look.found)
            elif not look.known:
                self._on_unknown(key, asked[key])
            elif look.ends_in is not None and key in self._waits:
                self._cancel_timer(key)
                loop = asyncio.get_running_loop()
                self._timers[key] = loop.call_later(look.ends_in, self.read_again, key)

    def _on_unknown(self, key: K, asked: list[Wait[K, T]]) -> None:
        """End the waits for what was not there when it was read: for others it may have been made since."""
        waits = self._drop(key)
        for wait in waits:
            if wait in asked:
                wait.end(key, None)
            else:
                self._waits.setdefault(key, []).append(wait)
                self._unread.add(key)
                self._work.set()

    async def _read_each(self, keys: list[K]) -> dict[K, Look[T]]:
        """Read tasks together; when one cannot be read, in halves: only those who wait for it are told."""
        try:
            return await self._read(keys)
        except StoreUnavailableError:
            raise
        except Exception as error:
            if len(keys) == 1:
                self._fail(keys[0], error)
                return {}
        middle = len(keys) // 2
        return await self._read_each(keys[:middle]) | await self._read_each(keys[middle:])

    def _fail(self, key: K, error: BaseException) -> None:
        for wait in self._drop(key):
            wait.fail(error)

    def _drop(self, key: K) -> list[Wait[K, T]]:
        self._cancel_timer(key)
        return self._waits.pop(key, [])

    def _cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()


def _reread_seconds() -> float:
    return REREAD_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 - spreads load
