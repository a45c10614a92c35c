"""Waiters: calls that wait for something to happen, such as the end of a task or a change of a session.

A message is a hint, the state is the truth. One script reads the state and registers the listener, so that no
event falls in between. Everything that is waited for is read again after each reconnect, and once a minute: a
lost message delays a waiter, it never strands it.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from converge_redis.core.backoff import MAX_BACKOFF, jittered
from converge_redis.errors import StoreUnavailableError

REREAD_SECONDS = 60.0

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


@dataclass(slots=True, frozen=True)
class Observation(Generic[T]):
    """What a script found when it read something and registered the listener for it.

    Attributes:
        found: The result that is waited for, if it is there: the task that has ended, the session that has
            changed.
        known: False where there is no such task or session.
        due_in: Seconds until time alone may bring the result, such as a deadline; None: it will not.
    """

    found: T | None
    known: bool
    due_in: float | None


Read = Callable[[Sequence[K]], Awaitable[dict[K, Observation[T]]]]
Unwatch = Callable[[Sequence[K]], Awaitable[None]]


class Signal:
    """Wakes the one coroutine that waits for a condition to change."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Wait for the next `notify`."""
        self._future = asyncio.get_running_loop().create_future()
        await self._future

    def notify(self) -> None:
        """Wake the coroutine that waits, if there is one."""
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class Waiter(Generic[K, T]):
    """One call that waits for some of several results.

    Args:
        keys: The keys of the results, such as task ids.
        needed: How many results are enough.

    Attributes:
        pending: The keys without a result.
        results: The results so far, in the order in which they came.
    """

    __slots__ = ("_signal", "error", "keys", "needed", "pending", "results")

    def __init__(self, keys: Iterable[K], needed: int) -> None:
        self.keys = tuple(keys)
        self.pending = dict.fromkeys(self.keys)
        self.needed = needed
        self.results: list[T] = []
        self.error: BaseException | None = None
        self._signal = Signal()

    @property
    def is_done(self) -> bool:
        """Whether enough results are there, or no further one can come."""
        return len(self.results) >= self.needed or not self.pending

    def resolve(self, key: K, result: T | None) -> None:
        """Add the result of a key; None: there is no such thing."""
        if key in self.pending:
            del self.pending[key]
            if result is not None:
                self.results.append(result)
            if self.is_done:
                self._signal.notify()

    def fail(self, error: BaseException) -> None:
        """End the call with an error."""
        self.error = error
        self._signal.notify()

    async def wait(self) -> None:
        """Wait until it is done; raises the error with which it was ended."""
        while self.error is None and not self.is_done:
            await self._signal.wait()
        if self.error is not None:
            raise self.error

    async def wait_for(self, timeout: float | None) -> list[T]:
        """Wait until it is done, at most for some seconds; return the results so far."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self.wait()
        return self.results


class Waiters(Generic[K, T]):
    """All waiters of a listener for results of one kind.

    Args:
        read: Reads the state of some keys, and registers the listener for them.
        unwatch: Unregisters the listener for some keys.
    """

    def __init__(self, read: Read[K, T], unwatch: Unwatch[K]) -> None:
        self._read = read
        self._unwatch = unwatch
        self._waiters = dict[K, list[Waiter[K, T]]]()
        self._unread = set[K]()  # keys to read: their results may be there
        self._unwanted = set[K]()  # keys to unwatch: their last waiter has left
        self._deferred = dict[
            K, int
        ]()  # keys not to read before `created`, with the number of their creators
        self._timers = dict[K, asyncio.TimerHandle]()  # for keys whose result time alone may bring
        self._work = asyncio.Event()

    def add(self, waiter: Waiter[K, T], *, exists: bool = True) -> None:
        """Add a waiter.

        Args:
            waiter: The waiter.
            exists: False for something that is only about to be created; it is not read before `created`.
        """
        for key in waiter.pending:
            self._waiters.setdefault(key, []).append(waiter)
        if exists:
            self._unread.update(waiter.pending)
            self._work.set()
        else:
            for key in waiter.pending:
                self._deferred[key] = self._deferred.get(key, 0) + 1

    def created(self, key: K, *, read: bool) -> None:
        """End the deferral of a key that was created, or could not be; `read`: whether to read it now."""
        self._deferred[key] -= 1
        if not self._deferred[key]:
            del self._deferred[key]
        if read:
            self._unread.add(key)
        if key in self._unread:
            self._work.set()

    def remove(self, waiter: Waiter[K, T]) -> None:
        """Remove a waiter, done or not."""
        for key in waiter.pending:
            waiters = self._waiters.get(key, [])
            if waiter in waiters:
                waiters.remove(waiter)
                if not waiters:
                    self._drop(key)
                    self._unwanted.add(key)
        if self._unwanted:
            self._work.set()

    def resolve(self, key: K, result: T | None) -> None:
        """Hand a result to all waiters for its key; None: there is no such thing."""
        for waiter in self._drop(key):
            waiter.resolve(key, result)

    def read_again(self, key: K) -> None:
        """Read a key again if there is a waiter for it."""
        if key in self._waiters:
            self._unread.add(key)
            self._work.set()

    def read_all_again(self) -> None:
        """Read all keys again."""
        self._unread |= self._waiters.keys()
        self._work.set()

    def fail_all(self, error: BaseException) -> None:
        """End all waiters with an error."""
        self._unwanted |= self._waiters.keys()
        for key in list(self._waiters):
            self._fail(key, error)

    @property
    def watched(self) -> list[K]:
        """All keys for which the listener may be registered."""
        return list({*self._waiters, *self._unwanted})

    async def run(self) -> None:
        """Read and unwatch keys as needed, until cancelled; read all of them once a minute."""
        loop = asyncio.get_running_loop()
        all_due = loop.time() + jittered(REREAD_SECONDS, 0.2)
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(all_due):
                    await self._work.wait()
            if loop.time() >= all_due:
                all_due = loop.time() + jittered(REREAD_SECONDS, 0.2)
                self._unread |= self._waiters.keys()
            self._work.clear()
            unread: list[K] = []
            unwanted, self._unwanted = [*self._unwanted - self._waiters.keys()], set()
            try:
                if unwanted:
                    await self._unwatch(unwanted)
                unread = [key for key in self._unread if key in self._waiters and key not in self._deferred]
                self._unread = {key for key in self._unread if key in self._deferred}
                if unread:
                    await self._observe(unread)
            except BaseException as error:
                self._unread.update(unread)
                self._unwanted.update(unwanted)
                if not isinstance(error, StoreUnavailableError):
                    raise
                await asyncio.sleep(jittered(MAX_BACKOFF / 2, 1.0))
                self._work.set()

    async def _observe(self, keys: list[K]) -> None:
        waiters = {key: list(self._waiters[key]) for key in keys}
        for key, observation in (await self._read_each(keys)).items():
            if observation.found is not None:
                self.resolve(key, observation.found)
            elif not observation.known:
                self._on_unknown(key, waiters[key])
            elif observation.due_in is not None and key in self._waiters:
                self._cancel_timer(key)
                loop = asyncio.get_running_loop()
                self._timers[key] = loop.call_later(observation.due_in, self.read_again, key)

    def _on_unknown(self, key: K, observers: list[Waiter[K, T]]) -> None:
        """Resolve the waiters that were there before an unknown key was read; it may exist by now."""
        for waiter in self._drop(key):
            if waiter in observers:
                waiter.resolve(key, None)
            else:
                self._waiters.setdefault(key, []).append(waiter)
                self._unread.add(key)
                self._work.set()

    async def _read_each(self, keys: list[K]) -> dict[K, Observation[T]]:
        """Read keys together; where one cannot be read, in halves, so that only its own waiters fail."""
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
        for waiter in self._drop(key):
            waiter.fail(error)

    def _drop(self, key: K) -> list[Waiter[K, T]]:
        self._cancel_timer(key)
        return self._waiters.pop(key, [])

    def _cancel_timer(self, key: K) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
