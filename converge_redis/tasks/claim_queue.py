"""Those who wait for work.

A claim script that finds nothing puts the claimer in its shard's queue (``tasks/lua/shared/claim_queue.lua``); whatever
makes a task claimable takes one that may have it from there, and has its listener told. Then it claims. A
claimer that is told and waits no more passes the lane on. Every half a minute or so, and after each lost
connection, the listener renews the places of all its claimers together.
"""

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from converge_redis.core.operation import Argument
from converge_redis.errors import ConvergeError
from converge_redis.tasks.waiters import CLAIMERS_PER_SCRIPT

RENEWAL_SECONDS = 30.0

Visible = tuple[Argument, ...]
Work = tuple[int, str]  # a shard, and a lane there


class Claimer:
    """One call of claim_next that may wait.

    Args:
        claimers: All of the listener's.
        number: Its number among them.
        visible: What it may have.

    Attributes:
        queued: The shards in whose queues it stands.
        sent_at: When the first claim script since it last waited was sent at the earliest, on
            ``time.monotonic()``.
    """

    __slots__ = (
        "_changed",
        "_claimers",
        "_connection",
        "_looking",
        "_told",
        "_under_way",
        "error",
        "gives_up",
        "number",
        "queued",
        "sent_at",
        "visible",
    )

    def __init__(self, claimers: "Claimers", number: int, visible: Visible) -> None:
        self.number = number
        self.visible = visible
        self.queued = set[int]()
        self.sent_at = math.inf
        self.error: BaseException | None = None
        self.gives_up = False
        self._claimers = claimers
        self._connection = 0
        self._looking: int | None = None
        self._told = deque[Work]()
        self._under_way: Work | None = None
        self._changed: asyncio.Future[None] | None = None

    @property
    def listener(self) -> str:
        """The id of its listener."""
        return self._claimers.listener

    @property
    def is_heard(self) -> bool:
        """Whether the listener hears now what the server tells."""
        return self._claimers.is_heard()

    async def heard(self, seconds: float) -> bool:
        """Wait until the listener hears what the server tells; False: the time is up, or it has given up."""
        return await self._until(lambda: self.is_heard or self.gives_up, seconds) and not self.gives_up

    async def told(self, seconds: float) -> Work | None:
        """Wait until there is work; None: the time is up, or the claimer has given up."""
        self.sent_at = math.inf
        if not await self._until(lambda: bool(self._told) or self.gives_up, seconds) or self.gives_up:
            return None
        self._under_way = self._told.popleft()
        return self._under_way

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while self.error is None and not condition():
                    self._changed = asyncio.get_running_loop().create_future()
                    await self._changed
        except TimeoutError:
            return False
        if self.error is not None:
            raise self.error
        return True

    def give_up(self) -> None:
        """Wait no more than for a last look; in the event loop."""
        self.gives_up = True
        self.notice()

    def notice(self) -> None:
        """Look again whether what is waited for has come."""
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def tell(self, work: Work) -> None:
        """There is work."""
        self._told.append(work)
        self.notice()

    @property
    def is_looking(self) -> bool:
        """Whether a claim script may be under way."""
        return self._looking is not None

    @property
    def has_been_told(self) -> bool:
        """Whether there is work that it has not tried to claim yet."""
        return bool(self._told) or self._under_way is not None

    def looks(self, shard: int) -> None:
        """Note that a claim script is about to be sent, which may put it in the queue; from any thread."""
        if self.error is not None:
            raise self.error
        self._looking = shard
        self._connection = self._claimers.connection
        self.sent_at = min(self.sent_at, time.monotonic())

    def looked(self, shard: int, *, queued: bool, tick_in: float | None = None) -> None:
        """Note that a claim script has run; from any thread.

        Args:
            shard: Where.
            queued: Whether it found nothing, and put the claimer in the queue.
            tick_in: The seconds until the listener is to tick there.
        """
        self._looking = self._under_way = None
        (self.queued.add if queued else self.queued.discard)(shard)
        if queued and self._connection != self._claimers.connection:
            self._claimers.renew_soon()  # it may have been told while nobody heard
        if tick_in is not None:
            self._claimers.ticks(shard, tick_in)

    def leave(self) -> None:
        """Wait no more; from any thread."""
        if self._looking is not None:
            self.queued.add(self._looking)  # a script whose reply is not awaited has put it there, or will
        self._claimers.leave(self)

    def unclaimed(self) -> list[Work]:
        """The work that it was told of, and has not tried to claim."""
        return [*self._told, *([self._under_way] if self._under_way else [])]


class Claimers:
    """All claimers of a listener.

    Args:
        listener: The listener's id.
        is_heard: Tells whether the listener hears now what the server tells.
        renew: Renews the places of some in a shard; returns lanes with work, and the number of tasks there.
        leave: Takes some from a shard's queue.
        pass_on: Wakes somebody else for a lane of a shard.
        ticks: Has the listener tick in a shard, after some seconds.
        settled: Waits until the calls that are under way have ended.
    """

    def __init__(
        self,
        listener: str,
        is_heard: Callable[[], bool],
        renew: Callable[[int, Visible, Sequence[int]], Awaitable[list[tuple[str, int]]]],
        leave: Callable[[int, Visible, Sequence[int]], Awaitable[None]],
        pass_on: Callable[[int, str], Coroutine[Any, Any, None]],
        ticks: Callable[[int, float], None],
        settled: Callable[[], Awaitable[None]],
    ) -> None:
        self.listener = listener
        self.is_heard = is_heard
        self.connection = 0  # counts how often the connection was made
        self.is_used = False
        self.ticks = ticks
        self._renew = renew
        self._leave = leave
        self._pass_on = pass_on
        self._settled = settled
        self._numbers = itertools.count(1)
        self._claimers = dict[int, Claimer]()
        self._leaving = deque[Claimer]()
        self._to_pass_on = deque[Work]()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = asyncio.Event()
        self._leavers = asyncio.Event()

    def join(self, visible: Visible) -> Claimer:
        """Add a claimer; from any thread."""
        self.is_used = True
        claimer = Claimer(self, next(self._numbers), visible)
        self._claimers[claimer.number] = claimer
        return claimer

    def leave(self, claimer: Claimer) -> None:
        """Forget a claimer; from any thread."""
        if claimer.queued or claimer.has_been_told:
            self._leaving.append(claimer)
            self._soon(self._leavers.set)
        self._claimers.pop(claimer.number, None)

    def renew_soon(self) -> None:
        """Renew the places of all who wait, now; from any thread."""
        self._soon(self._due.set)

    def _soon(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop was closed, and with it the listener
                self._loop.call_soon_threadsafe(call)

    def on_heard(self) -> None:
        """All that is told is heard from now on; what was told before may be lost."""
        self.connection += 1
        self._due.set()
        for claimer in list(self._claimers.values()):
            claimer.notice()

    def on_work(self, shard: int, number: int, lane: str) -> None:
        """A claimer was taken from the queue for a lane."""
        claimer = self._claimers.get(number)
        if claimer is None:
            self._to_pass_on.append((shard, lane))
            self._leavers.set()
        else:
            claimer.queued.discard(shard)
            claimer.tell((shard, lane))

    def fail_all(self, error: BaseException) -> None:
        """End all waits with an error."""
        for claimer in list(self._claimers.values()):
            claimer.error = error
            claimer.notice()

    async def keep_renewing(self) -> None:
        """Renew the places of all who wait, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RENEWAL_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311
                    await self._due.wait()
            self._due.clear()
            if self.is_heard():
                with contextlib.suppress(ConvergeError):  # the next renewal, or connection, makes up for it
                    await self._renew_all()

    async def _renew_all(self) -> None:
        for (shard, visible), queued in self._by_queue(list(self._claimers.values())).items():
            for start in range(0, len(queued), CLAIMERS_PER_SCRIPT):
                part = queued[start : start + CLAIMERS_PER_SCRIPT]
                some = [one for one in part if one.number in self._claimers and shard in one.queued]
                if some:
                    lanes = await self._renew(shard, visible, [claimer.number for claimer in some])
                    there = [one for one in some if one.number in self._claimers]
                    idle = [claimer for claimer in there if not claimer.has_been_told]
                    work = [lane for lane, tasks in lanes for _ in range(min(tasks, len(idle)))]
                    for claimer, lane in zip(idle, work, strict=False):
                        claimer.tell((shard, lane))

    def _by_queue(self, claimers: Sequence[Claimer]) -> dict[tuple[int, Visible], list[Claimer]]:
        queues: dict[tuple[int, Visible], list[Claimer]] = {}
        for claimer in claimers:
            for shard in list(claimer.queued):
                queues.setdefault((shard, claimer.visible), []).append(claimer)
        return queues

    async def keep_leaving(self) -> None:
        """Take those who wait no more from their queues, until cancelled."""
        self._loop = asyncio.get_running_loop()
        while True:
            await self._leavers.wait()
            self._leavers.clear()
            await self.settle()

    async def settle(self) -> None:
        """Take those who wait no more from their queues, and pass on the work that they were told of."""
        leaving, self._leaving = list(self._leaving), deque()
        to_pass_on, self._to_pass_on = list(self._to_pass_on), deque()
        for claimer in leaving:
            to_pass_on += claimer.unclaimed()
        try:
            if any(claimer.is_looking for claimer in leaving):
                await self._settled()  # on another connection, the farewell might overtake the claim script
            for (shard, visible), queued in self._by_queue(leaving).items():
                for start in range(0, len(queued), CLAIMERS_PER_SCRIPT):
                    numbers = [claimer.number for claimer in queued[start : start + CLAIMERS_PER_SCRIPT]]
                    await self._leave(shard, visible, numbers)
            for shard, lane in to_pass_on:
                await self._pass_on(shard, lane)
        except ConvergeError:
            pass  # the places expire, and those who renew theirs find the work
        except BaseException:
            self._leaving.extend(leaving)  # interrupted by the end of the listener, which does it again
            raise

    def leave_all(self) -> None:
        """Forget all claimers."""
        for claimer in list(self._claimers.values()):
            claimer.leave()
