"""Renewed locks: locks on the server that are renewed in the background while their holder is busy."""

import asyncio
import contextlib
from collections.abc import Callable

from converge_redis.core.operation import Operation
from converge_redis.errors import ConvergeError
from converge_redis.notifications.listener import Listener, ListenerPart


class RenewedLock:
    """Renews a lock after each third of its time; made in the event loop.

    Args:
        listener: The listener that sends the operations.
        ttl: How long the lock lasts, in seconds.
        renew: Makes the operation that renews it and returns whether it was still held.
        release: Makes the operation that releases it.
    """

    def __init__(
        self,
        listener: Listener,
        ttl: float,
        renew: Callable[[], Operation[bool]],
        release: Callable[[], Operation[None]],
    ) -> None:
        self._listener = listener
        self._pause = ttl / 3
        self._renew = renew
        self._release = release
        self._is_released = False
        self._stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.done = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                async with asyncio.timeout(self._pause):
                    await self._stopped.wait()
            except TimeoutError:
                with contextlib.suppress(ConvergeError):  # two more renewals fit into its time
                    if not await self._listener.run(self._renew()):
                        return
        if self._is_released:
            with contextlib.suppress(ConvergeError):
                await self._listener.run(self._release())

    def stop(self) -> None:
        """End the renewals: the holder has used the lock; from any thread."""
        with contextlib.suppress(RuntimeError):  # the event loop was closed, and with it the listener
            self._loop.call_soon_threadsafe(self._stopped.set)

    def release(self) -> None:
        """Release the lock: its holder ended without a result; from any thread."""
        self._is_released = True
        self.stop()


class RenewedLocks(ListenerPart):
    """The locks that a listener renews."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._locks = set[RenewedLock]()

    def add(
        self, ttl: float, renew: Callable[[], Operation[bool]], release: Callable[[], Operation[None]]
    ) -> RenewedLock:
        """Renew a lock until it is stopped or released; see `RenewedLock`."""
        lock = RenewedLock(self._listener, ttl, renew, release)
        self._locks.add(lock)
        lock.done.add_done_callback(lambda _task: self._locks.discard(lock))
        return lock

    async def unregister(self) -> None:
        """See `ListenerPart`."""
        locks = list(self._locks)
        for lock in locks:
            lock.release()
        await asyncio.gather(*(lock.done for lock in locks), return_exceptions=True)
