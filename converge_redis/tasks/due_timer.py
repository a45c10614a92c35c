"""The time keeper: while all claimers of a shard wait, one listener lets time pass (``tasks/lua/shared/due_timer.lua``)."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

from converge_redis.errors import ConvergeError

PAUSE_SECONDS = 1.0
LATEST_SECONDS = 3600.0
ROUNDING_SECONDS = 0.001
"""A tick is late rather than early: an early one finds nothing due."""


class TimeKeeper:
    """Ticks in each shard when it is time.

    Args:
        tick: Ticks in a shard; returns the seconds until the next time, or None.
    """

    def __init__(self, tick: Callable[[int], Awaitable[float | None]]) -> None:
        self._tick = tick
        self._due = dict[int, float]()  # shard → when, on the loop's clock
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    def set(self, shard: int, seconds: float) -> None:
        """Tick in a shard after some seconds, unless that is due before; from any thread."""
        if self._loop is not None:
            due = self._loop.time() + seconds + ROUNDING_SECONDS
            try:
                is_here = asyncio.get_running_loop() is self._loop
            except RuntimeError:
                is_here = False
            if is_here:
                self._set(shard, due)
                return
            with contextlib.suppress(RuntimeError):  # the loop was closed, and with it the listener
                self._loop.call_soon_threadsafe(self._set, shard, due)

    def _set(self, shard: int, due: float) -> None:
        if due < self._due.get(shard, float("inf")):
            self._due[shard] = due
            self._changed.set()

    async def keep_ticking(self) -> None:
        """Tick whenever it is due, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            due = min(self._due.values(), default=None)
            seconds = LATEST_SECONDS if due is None else due - self._loop.time()
            if seconds > 0:
                try:
                    async with asyncio.timeout(seconds):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                else:
                    continue
            now = self._loop.time()
            for shard in [shard for shard, due in self._due.items() if due <= now]:
                del self._due[shard]
                try:
                    next_in = await self._tick(shard)
                except ConvergeError:
                    next_in = PAUSE_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load
                if next_in is not None:
                    self._set(shard, self._loop.time() + next_in + ROUNDING_SECONDS)
