"""One run of a worker: claim, keep the claims alive, run the handler, settle."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from converge_redis.errors import ConvergeError, StoreAuthenticationError, StoreClosedError
from converge_redis.notifications.listener import Listener
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.claim import Row
from converge_redis.tasks.claim_queue import Visible
from converge_redis.tasks.model import Task
from converge_redis.tasks.replies import read_task
from converge_redis.worker.claim import Claim
from converge_redis.worker.fetcher import Supply
from converge_redis.worker.handlers import Handlers
from converge_redis.worker.held_claims import Holdings
from converge_redis.worker.outcome_reporter import Settlement
from converge_redis.worker.outcomes import TaskFailure, TryLater, reason_of
from converge_redis.worker.result_batcher import Reports, UnstorableResult

LONGEST_PAUSE = 2.0
MOST_PATIENCE = 5.0
"""Seconds for the last outcomes when the worker ends, whatever the grace for handlers is."""

_log = logging.getLogger("converge_redis")


@dataclass(frozen=True)
class Terms:
    """How a worker works; see `converge_redis.worker.worker.Worker`.

    Attributes:
        agent_id: The agent that claims.
        handlers: Runs the handler.
        visible: What it may have.
        concurrency: How many tasks it works on at a time.
        retries: How many attempts may follow the first one.
        backoff: Seconds before the second attempt, at most.
        tell: Called with what becomes of tasks.
    """

    agent_id: str
    handlers: Handlers
    visible: Visible
    concurrency: int
    retries: int
    backoff: float
    tell: Callable[[str, Task], None]


class Shift:
    """Works on tasks until it is told to end.

    Args:
        store: Where the tasks are.
        listener: The store's, in this event loop.
        terms: How to work.
        grace: Seconds that handlers have to finish at the end.
    """

    def __init__(self, store: AsyncRedisStore, listener: Listener, terms: Terms, grace: float) -> None:
        self._terms = terms
        self._grace = grace
        self._supply = Supply(store, terms.agent_id, terms.visible, listener.id)
        self._holdings = Holdings(store, terms.agent_id, listener)
        self._reports = Reports(store, terms.agent_id, self._on_reported)
        self._settlement = Settlement(store, terms.agent_id, terms.retries, terms.backoff, terms.tell)
        self._drains = False
        self._changed = asyncio.Event()
        self._fatal: Exception | None = None
        self._busy = 0  # handlers that run, and tasks that are to be begun with
        self._asks = False  # a claim is under way
        self._asking: asyncio.Task[None] | None = None
        self._handling = dict[asyncio.Task[None], Claim]()
        self._settling = set[asyncio.Task[None]]()

    def drain(self, grace: float) -> None:
        """Make it end; in the event loop."""
        self._grace = grace
        self._drains = True
        self._supply.give_up()
        self._changed.set()

    async def work(self) -> None:
        """Work until it is told to end, or cancelled: then without any grace.

        Raises:
            StoreAuthenticationError, StoreClosedError: The store cannot be used, or no more.
        """
        with self._holdings.keeper:
            try:
                await self._claim_until_drained()
                await self._finish(self._grace)
            finally:
                try:
                    await self._finish(0.0)
                finally:  # cancelled once more: nobody waits for the rest, which goes on
                    self._cancel_handlers()
                    self._terms.handlers.close()

    async def _claim_until_drained(self) -> None:
        while not self._drains:
            self._changed.clear()
            self._ask_for(self._wanted())
            await self._changed.wait()
            if self._fatal is not None:
                raise self._fatal

    async def _finish(self, grace: float) -> None:
        """Claim no more, let handlers finish, and give back what is left; what came out is told."""
        ends = time.monotonic() + grace
        self.drain(grace)
        if self._asking is not None:  # what it brings is given back
            await asyncio.wait((self._asking,), timeout=MOST_PATIENCE)
            self._asking.cancel()
        while self._handling and (left := ends - time.monotonic()) > 0:
            await asyncio.wait(self._handling, timeout=left)
        self._cancel_handlers()
        while self._handling:
            await asyncio.wait(self._handling)
        patience = max(MOST_PATIENCE, ends - time.monotonic())
        if self._settling:
            await asyncio.wait(self._settling, timeout=patience)
        await self._reports.settled(patience)
        for settling in self._settling:
            settling.cancel()
        self._reports.give_up()

    def _cancel_handlers(self) -> None:
        for running in tuple(self._handling):
            running.cancel()

    # Claiming

    def _wanted(self) -> int:
        """How many tasks to ask for now: at most half of what it works on at a time, and by one call."""
        room = self._terms.concurrency - self._busy
        return 0 if self._asks else min(room, (self._terms.concurrency + 1) // 2)

    def _ask_for(self, wanted: int) -> None:
        if wanted > 0:
            self._asks = True
            self._asking = asyncio.get_running_loop().create_task(self._ask(wanted))

    async def _ask(self, wanted: int) -> None:
        rows: Sequence[Row] = ()
        claimed_after = 0.0
        try:
            if not self._supply.flows:
                # What handlers return at once is told first: the server would tell those who wait for it only
                # after it has looked for more.
                await asyncio.sleep(0)
                await self._reports.settled(MOST_PATIENCE)
            rows, claimed_after = await self._supply.bring(wanted)
        except (StoreAuthenticationError, StoreClosedError) as error:
            self._fatal = error
        except ConvergeError as error:
            _log.warning("worker %r cannot claim: %s", self._terms.agent_id, error)
            await self._pause(random.uniform(0.2, LONGEST_PAUSE))  # noqa: S311 - spreads load
        finally:
            self._asks = False
            self._changed.set()
        await self._begin(rows, claimed_after)

    async def _pause(self, seconds: float) -> None:
        """Let time pass, unless it is to end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._drains:
                    self._changed.clear()
                    await self._changed.wait()

    async def _begin(self, rows: Sequence[Row], claimed_after: float) -> None:
        """Work on tasks that were claimed.

        While there are always more, the next ones are asked for before these are read: the server looks for
        one half of what is worked on at a time while the worker works on the other.
        """
        self._busy += len(rows)
        try:
            if self._supply.flows and not self._drains:
                self._ask_for(self._wanted())
                await asyncio.sleep(0)
        finally:
            for row in rows:
                self._begin_with(row, claimed_after)

    def _begin_with(self, row: Row, claimed_after: float) -> None:
        try:
            claim = self._holdings.begin(read_task(row), claimed_after)
        except Exception as error:
            self._busy -= 1
            _log.exception("worker %r has claimed a task that it cannot read", self._terms.agent_id)
            self._settle(self._settlement.fail_unread(row, error))
            return
        self._terms.tell("claimed", claim.task)
        if self._drains:
            self._busy -= 1
            self._give_back(claim)
            return
        handling = asyncio.get_running_loop().create_task(self._handle(claim))
        self._handling[handling] = claim
        handling.add_done_callback(self._on_handled)

    # One task

    async def _handle(self, claim: Claim) -> None:
        """Run the handler; what else than a result comes out is told by a task that no end cancels."""
        try:
            self._reports.add(claim, await self._terms.handlers.run(claim))
            return
        except asyncio.CancelledError as error:
            running = asyncio.current_task()
            if running is None or running.cancelling():
                raise  # the worker ends
            outcome = self._settlement.fail_or_retry(claim, error)
        except TryLater as later:
            outcome = self._settlement.give_back(claim, later.delay, count_attempt=False)
        except TaskFailure as failure:
            outcome = self._settlement.fail(claim, failure.reason)
        except UnstorableResult as unstorable:
            outcome = self._settlement.fail(claim, reason_of(unstorable.error, claim.task.attempts))
        except Exception as error:
            outcome = self._settlement.fail_or_retry(claim, error)
        self._settle(outcome, claim)

    def _on_handled(self, handling: "asyncio.Task[None]") -> None:
        claim = self._handling.pop(handling)
        self._busy -= 1
        self._changed.set()
        self._complain(handling)
        if handling.cancelled():
            self._give_back(claim)

    def _give_back(self, claim: Claim) -> None:
        """Give a task back that was not worked on to the end, since the worker ends."""
        self._settle(self._settlement.give_back(claim, 0.0, count_attempt=False), claim)

    def _settle(self, outcome: Coroutine[Any, Any, None], claim: Claim | None = None) -> None:
        """Have an outcome told, and let go of the claim."""
        settling = asyncio.get_running_loop().create_task(outcome)
        self._settling.add(settling)

        def on_settled(settling: "asyncio.Task[None]") -> None:
            self._settling.discard(settling)
            if claim is not None:
                self._holdings.let_go(claim)
            self._complain(settling)

        settling.add_done_callback(on_settled)

    def _complain(self, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and ended.exception() is not None:
            _log.error("worker %r failed to settle a task", self._terms.agent_id, exc_info=ended.exception())

    def _on_reported(self, claim: Claim, accepted: bool) -> None:
        self._holdings.let_go(claim)
        self._terms.tell("completed" if accepted else "lost", claim.task)
