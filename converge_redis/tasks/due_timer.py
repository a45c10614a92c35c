"""The due timer: while all claimers of a shard wait, one listener applies what becomes due there.

``tasks/lua/shared/due_timer.lua`` elects that listener.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import ClassVar

from converge_redis.core.backoff import jittered
from converge_redis.errors import ConvergeError
from converge_redis.notifications.listener import Listener, ListenerPart, Loop
from converge_redis.tasks.claim_queue_operations import apply_due

RETRY_SECONDS = 1.0
MAX_SLEEP_SECONDS = 3600.0
ROUNDING_SECONDS = 0.001
"""The timer fires late rather than early: an early script finds nothing due."""


class DueTimer(ListenerPart):
    """Runs ``apply_due`` in each shard when something is due there."""

    messages: ClassVar = {b"time": "_on_earlier_time"}

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._due = dict[int, float]()  # by shard, on the clock of the event loop
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()

    def schedule(self, shard: int, seconds: float) -> None:
        """Fire in a shard after some seconds, unless it is due before; from any thread."""
        loop = self._loop
        if loop is not None:
            due = loop.time() + seconds + ROUNDING_SECONDS
            try:
                is_here = asyncio.get_running_loop() is loop
            except RuntimeError:
                is_here = False
            if is_here:
                self._schedule_at(shard, due)
                return
            with contextlib.suppress(RuntimeError):  # the event loop was closed, and with it the listener
                loop.call_soon_threadsafe(self._schedule_at, shard, due)
        else:
            self._listener.call_soon(self.schedule, shard, seconds)

    def _schedule_at(self, shard: int, due: float) -> None:
        if due < self._due.get(shard, float("inf")):
            self._due[shard] = due
            self._changed.set()

    def _on_earlier_time(self, shard: int, microseconds: bytes) -> None:
        self.schedule(shard, int(microseconds) / 1e6)

    def loops(self) -> Sequence[Loop]:
        """See `ListenerPart`."""
        self._loop = asyncio.get_running_loop()
        return [self._run]

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            due = min(self._due.values(), default=None)
            seconds = MAX_SLEEP_SECONDS if due is None else due - loop.time()
            if seconds > 0:
                try:
                    async with asyncio.timeout(seconds):
                        await self._changed.wait()
                except TimeoutError:
                    pass
                else:
                    continue
            now = loop.time()
            for shard in [shard for shard, due in self._due.items() if due <= now]:
                del self._due[shard]
                try:
                    next_in = await self._listener.run(
                        apply_due(self._listener.namespace, shard, self._listener.id)
                    )
                except ConvergeError:
                    next_in = jittered(RETRY_SECONDS)
                if next_in is not None:
                    self._schedule_at(shard, loop.time() + next_in + ROUNDING_SECONDS)
