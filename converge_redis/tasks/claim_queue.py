"""The claim queue: the calls of a listener that wait for a task to claim.

When a claim script finds nothing, it puts the claimer into the queue of its shard
(``tasks/lua/shared/claim_queue.lua``). When a task becomes claimable, the script removes one matching claimer
from the queue and publishes the lane to its listener; that claimer then claims as usual. If it has stopped
waiting by then, its listener wakes the next claimer for that lane. Every half a minute, and after each
reconnect, the listener renews the places of all its claimers.
"""

import asyncio
import contextlib
import itertools
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import ClassVar

from converge_redis.core.backoff import jittered
from converge_redis.core.batching import batches
from converge_redis.core.operation import Procedure
from converge_redis.errors import ConvergeError
from converge_redis.notifications.listener import Listener, ListenerPart, Loop
from converge_redis.notifications.steps import with_listener
from converge_redis.notifications.waiters import Signal
from converge_redis.tasks.claim_filter import ClaimFilter
from converge_redis.tasks.claim_queue_operations import (
    CLAIMERS_PER_SCRIPT,
    close_claim_queue,
    leave_claim_queue,
    renew_claimers,
    wake_next_claimer,
)
from converge_redis.tasks.due_timer import DueTimer

RENEWAL_SECONDS = 30.0

ReadyLane = tuple[int, str]  # a shard, and a lane there that has work


class WaitingClaimer:
    """One call of claim_next that may wait.

    Args:
        queue: The claim queue of the listener.
        number: Its number there.
        claim_filter: Which lanes it may claim from.

    Attributes:
        queued: The shards in whose queues it is.
        sent_at: When the first claim script since the last wait was sent, at the earliest, on
            ``time.monotonic()``.
    """

    __slots__ = (
        "_claiming",
        "_connection",
        "_current",
        "_queue",
        "_ready",
        "_signal",
        "claim_filter",
        "error",
        "is_stopping",
        "number",
        "queued",
        "sent_at",
    )

    def __init__(self, queue: "ClaimQueue", number: int, claim_filter: ClaimFilter) -> None:
        self.number = number
        self.claim_filter = claim_filter
        self.queued = set[int]()
        self.sent_at = math.inf
        self.error: BaseException | None = None
        self.is_stopping = False
        self._queue = queue
        self._connection = 0
        self._claiming: int | None = None  # the shard to which a claim script was sent
        self._ready = deque[ReadyLane]()
        self._current: ReadyLane | None = None
        self._signal = Signal()

    @property
    def listener(self) -> str:
        """The id of its listener."""
        return self._queue.listener_id

    @property
    def is_subscribed(self) -> bool:
        """Whether its listener receives messages now."""
        return self._queue.is_subscribed

    async def wait_subscribed(self, seconds: float) -> bool:
        """Wait until the listener receives messages; False: the time is up, or it is stopping."""
        is_ready = await self._wait_until(lambda: self.is_subscribed or self.is_stopping, seconds)
        return is_ready and not self.is_stopping

    async def next_ready_lane(self, seconds: float) -> ReadyLane | None:
        """Wait for a lane with work; None: the time is up, or it is stopping."""
        self.sent_at = math.inf
        is_ready = await self._wait_until(lambda: bool(self._ready) or self.is_stopping, seconds)
        if not is_ready or self.is_stopping:
            return None
        self._current = self._ready.popleft()
        return self._current

    async def _wait_until(self, condition: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self.error is None and not condition():
                    await self._signal.wait()
        except TimeoutError:
            return False
        if self.error is not None:
            raise self.error
        return True

    def stop_waiting(self) -> None:
        """Claim once more, then return; in the event loop."""
        self.is_stopping = True
        self.wake()

    def wake(self) -> None:
        """Check again whether the awaited condition holds."""
        self._signal.notify()

    def push(self, ready: ReadyLane) -> None:
        """Add a lane with work."""
        self._ready.append(ready)
        self.wake()

    @property
    def is_claiming(self) -> bool:
        """Whether a claim script may be in flight."""
        return self._claiming is not None

    @property
    def has_ready_lane(self) -> bool:
        """Whether there is a lane with work from which it has not claimed yet."""
        return bool(self._ready) or self._current is not None

    def claim_sent(self, shard: int) -> None:
        """Note that a claim script is about to be sent, which may put it into the queue; from any thread."""
        if self.error is not None:
            raise self.error
        self._claiming = shard
        self._connection = self._queue.connection
        self.sent_at = min(self.sent_at, time.monotonic())

    def claim_answered(self, shard: int, *, queued: bool, due_in: float | None = None) -> None:
        """Note the outcome of a claim script; from any thread.

        Args:
            shard: The shard.
            queued: Whether it found nothing, and put the claimer into the queue.
            due_in: Seconds until the due timer is to fire in the shard; None: it is not.
        """
        self._claiming = self._current = None
        (self.queued.add if queued else self.queued.discard)(shard)
        if queued and self._connection != self._queue.connection:
            self._queue.renew_soon()  # a message may have been lost with the connection
        if due_in is not None:
            self._queue.schedule_due(shard, due_in)

    def close(self) -> None:
        """Stop waiting, and leave all queues; from any thread."""
        if self._claiming is not None:
            self.queued.add(self._claiming)  # the script whose reply is not awaited puts it there
        self._queue.remove(self)

    def unused_lanes(self) -> list[ReadyLane]:
        """Return the lanes with work from which it has not claimed."""
        return [*self._ready, *([self._current] if self._current else [])]


class ClaimQueue(ListenerPart):
    """All waiting claimers of a listener."""

    messages: ClassVar = {b"work": "_on_work"}

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._due_timer = listener.part(DueTimer)
        self.connection = 0  # the number of connections so far
        self._numbers = itertools.count(1)
        self._claimers = dict[int, WaitingClaimer]()
        self._leaving = deque[WaitingClaimer]()
        self._unused_lanes = deque[ReadyLane]()
        self._renewal_due = asyncio.Event()
        self._flush_due = asyncio.Event()

    @property
    def listener_id(self) -> str:
        """The id of the listener."""
        return self._listener.id

    @property
    def is_subscribed(self) -> bool:
        """Whether the listener receives messages now."""
        return self._listener.is_subscribed

    def add(self, claim_filter: ClaimFilter) -> WaitingClaimer:
        """Add a claimer; from any thread."""
        claimer = WaitingClaimer(self, next(self._numbers), claim_filter)
        self._claimers[claimer.number] = claimer
        return claimer

    def remove(self, claimer: WaitingClaimer) -> None:
        """Remove a claimer; from any thread."""
        if claimer.queued or claimer.has_ready_lane:
            self._leaving.append(claimer)
            self._listener.call_soon(self._flush_due.set)
        self._claimers.pop(claimer.number, None)

    def renew_soon(self) -> None:
        """Renew the places of all claimers now; from any thread."""
        self._listener.call_soon(self._renewal_due.set)

    def schedule_due(self, shard: int, seconds: float) -> None:
        """Have the due timer fire in a shard after some seconds; from any thread."""
        self._due_timer.schedule(shard, seconds)

    def on_subscribed(self) -> None:
        """See `ListenerPart`."""
        self.connection += 1
        self._renewal_due.set()
        for claimer in list(self._claimers.values()):
            claimer.wake()

    def fail_all(self, error: BaseException) -> None:
        """See `ListenerPart`."""
        for claimer in list(self._claimers.values()):
            claimer.error = error
            claimer.wake()

    def _on_work(self, shard: int, message: bytes) -> None:
        """A script has removed a claimer from the queue for a lane."""
        number, _, lane = message.partition(b" ")
        ready = (shard, lane.decode())
        claimer = self._claimers.get(int(number))
        if claimer is None:
            self._unused_lanes.append(ready)
            self._flush_due.set()
        else:
            claimer.queued.discard(shard)
            claimer.push(ready)

    def loops(self) -> Sequence[Loop]:
        """See `ListenerPart`."""
        return [self._renew_loop, self._unregister_loop]

    async def _renew_loop(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(jittered(RENEWAL_SECONDS, 0.2)):
                    await self._renewal_due.wait()
            self._renewal_due.clear()
            if self.is_subscribed:
                with contextlib.suppress(ConvergeError):  # the next renewal, or reconnect, makes up for it
                    await self._renew_all()

    async def _renew_all(self) -> None:
        for (shard, claim_filter), queued in self._by_queue(list(self._claimers.values())).items():
            for batch in batches(queued, CLAIMERS_PER_SCRIPT):
                claimers = [one for one in batch if one.number in self._claimers and shard in one.queued]
                if claimers:
                    await self._renew(shard, claim_filter, claimers)

    async def _renew(self, shard: int, claim_filter: ClaimFilter, claimers: Sequence[WaitingClaimer]) -> None:
        numbers = [claimer.number for claimer in claimers]
        operation = renew_claimers(self._listener.namespace, shard, self._listener.id, claim_filter, numbers)
        due_in, lanes = await self._listener.run(operation)
        if due_in is not None:
            self.schedule_due(shard, due_in)
        waiting = [one for one in claimers if one.number in self._claimers]
        idle = [claimer for claimer in waiting if not claimer.has_ready_lane]
        ready = [lane for lane, tasks in lanes for _ in range(min(tasks, len(idle)))]
        for claimer, lane in zip(idle, ready, strict=False):
            claimer.push((shard, lane))

    def _by_queue(
        self, claimers: Sequence[WaitingClaimer]
    ) -> dict[tuple[int, ClaimFilter], list[WaitingClaimer]]:
        queues: dict[tuple[int, ClaimFilter], list[WaitingClaimer]] = {}
        for claimer in claimers:
            for shard in list(claimer.queued):
                queues.setdefault((shard, claimer.claim_filter), []).append(claimer)
        return queues

    async def _unregister_loop(self) -> None:
        while True:
            await self._flush_due.wait()
            self._flush_due.clear()
            await self._flush()

    async def _flush(self) -> None:
        """Unregister the claimers that have left, and wake others for the lanes that they did not use."""
        leaving, self._leaving = list(self._leaving), deque()
        unused_lanes, self._unused_lanes = list(self._unused_lanes), deque()
        for claimer in leaving:
            unused_lanes += claimer.unused_lanes()
        namespace, listener = self._listener.namespace, self._listener
        try:
            if any(claimer.is_claiming for claimer in leaving):
                await listener.drained()  # on another connection, this script might overtake the claim
            for (shard, claim_filter), queued in self._by_queue(leaving).items():
                for batch in batches(queued, CLAIMERS_PER_SCRIPT):
                    numbers = [claimer.number for claimer in batch]
                    await listener.run(
                        leave_claim_queue(namespace, shard, listener.id, claim_filter, numbers)
                    )
            for shard, lane in unused_lanes:
                await listener.run(wake_next_claimer(namespace, shard, lane))
        except ConvergeError:
            pass  # their places expire, and claimers that renew theirs find the work
        except BaseException:
            self._leaving.extend(leaving)  # cancelled by the end of the listener, which flushes again
            raise

    async def unregister(self) -> None:
        """See `ListenerPart`."""
        for claimer in list(self._claimers.values()):
            claimer.close()
        await self._flush()
        for shard in range(self._listener.namespace.shards):
            await self._listener.run(close_claim_queue(self._listener.namespace, shard, self._listener.id))


def waiting_claimer(claim_filter: ClaimFilter) -> Procedure[WaitingClaimer]:
    """Register a claimer that may wait; it must be closed at the end."""
    return (yield from with_listener(lambda listener: listener.part(ClaimQueue).add(claim_filter)))
