"""One run of a worker: claim tasks, keep the claims alive, run the handler, report."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from converge_redis.core.backoff import MAX_BACKOFF, jittered
from converge_redis.errors import ConvergeError, StoreAuthenticationError, StoreClosedError
from converge_redis.notifications.listener import Listener
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.claim_filter import ClaimFilter
from converge_redis.tasks.claim_steps import Row
from converge_redis.tasks.model import Task
from converge_redis.tasks.replies import decode_task
from converge_redis.worker.claim import Claim
from converge_redis.worker.fetcher import Fetcher
from converge_redis.worker.handlers import Handlers
from converge_redis.worker.held_claims import HeldClaims
from converge_redis.worker.outcome_reporter import OutcomeReporter
from converge_redis.worker.outcomes import TaskFailure, TryLater, exception_reason
from converge_redis.worker.result_batcher import ResultBatcher, UnstorableResult

FLUSH_TIMEOUT = 5.0
"""Seconds for the last outcomes when the worker ends, whatever the grace for handlers is."""

_log = logging.getLogger("converge_redis")


@dataclass(frozen=True)
class WorkerOptions:
    """The options of a worker; `converge_redis.worker.worker.Worker` explains them.

    Attributes:
        agent_id: The agent that claims.
        handlers: Runs the handler.
        claim_filter: Which lanes it may claim from.
        concurrency: How many tasks it works on at the same time.
        retries: How many attempts may follow the first one.
        backoff_sec: Seconds before the second attempt, at most.
        emit: Called with the event and the task of each claim and outcome.
    """

    agent_id: str
    handlers: Handlers
    claim_filter: ClaimFilter
    concurrency: int
    retries: int
    backoff_sec: float
    emit: Callable[[str, Task], None]


class WorkerRun:
    """Works on tasks until it is drained.

    Args:
        store: Where the tasks are.
        listener: The listener of the store in this event loop.
        options: How to work.
        grace_sec: Seconds that handlers have to finish at the end.
    """

    def __init__(
        self, store: AsyncRedisStore, listener: Listener, options: WorkerOptions, grace_sec: float
    ) -> None:
        self._options = options
        self._grace_sec = grace_sec
        self._fetcher = Fetcher(store, options.agent_id, options.claim_filter, listener.id)
        self._claims = HeldClaims(store, options.agent_id, listener)
        self._results = ResultBatcher(store, options.agent_id, self._on_reported)
        self._outcomes = OutcomeReporter(
            store, options.agent_id, options.retries, options.backoff_sec, options.emit
        )
        self._is_draining = False
        self._changed = asyncio.Event()
        self._fatal: Exception | None = None
        self._busy = 0  # running handlers, and claimed tasks whose handlers are still to be started
        self._is_claiming = False
        self._claiming: asyncio.Task[None] | None = None
        self._handling = dict[asyncio.Task[None], Claim]()
        self._settling = set[asyncio.Task[None]]()

    def drain(self, grace_sec: float) -> None:
        """End the run; in the event loop."""
        self._grace_sec = grace_sec
        self._is_draining = True
        self._fetcher.stop()
        self._changed.set()

    async def work(self) -> None:
        """Work until it is drained, or cancelled: then without any grace.

        Raises:
            StoreAuthenticationError, StoreClosedError: The store cannot be used, or no longer.
        """
        with self._claims.keeper:
            try:
                await self._claim_until_drained()
                await self._finish(self._grace_sec)
            finally:
                try:
                    await self._finish(0.0)
                finally:  # cancelled once more: what is left goes on without being awaited
                    self._cancel_handlers()
                    self._options.handlers.close()

    async def _claim_until_drained(self) -> None:
        while not self._is_draining:
            self._changed.clear()
            self._claim(self._capacity())
            await self._changed.wait()
            if self._fatal is not None:
                raise self._fatal

    async def _finish(self, grace_sec: float) -> None:
        """Stop claiming, let handlers finish, release the other tasks, and flush all outcomes."""
        deadline = time.monotonic() + grace_sec
        self.drain(grace_sec)
        if self._claiming is not None:  # the tasks that it returns are released
            await asyncio.wait((self._claiming,), timeout=FLUSH_TIMEOUT)
            self._claiming.cancel()
        while self._handling and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(self._handling, timeout=left)
        self._cancel_handlers()
        while self._handling:
            await asyncio.wait(self._handling)
        timeout = max(FLUSH_TIMEOUT, deadline - time.monotonic())
        if self._settling:
            await asyncio.wait(self._settling, timeout=timeout)
        await self._results.flush(timeout)
        for settling in self._settling:
            settling.cancel()
        self._results.cancel()

    def _cancel_handlers(self) -> None:
        for running in tuple(self._handling):
            running.cancel()

    # Claiming

    def _capacity(self) -> int:
        """Return how many tasks to claim now: by one call at a time, and at most half of the concurrency."""
        free = self._options.concurrency - self._busy
        return 0 if self._is_claiming else min(free, (self._options.concurrency + 1) // 2)

    def _claim(self, count: int) -> None:
        if count > 0:
            self._is_claiming = True
            self._claiming = asyncio.get_running_loop().create_task(self._fetch(count))

    async def _fetch(self, count: int) -> None:
        rows: Sequence[Row] = ()
        claimed_after = 0.0
        try:
            if not self._fetcher.is_saturated:
                # Flush finished results before claiming more. Otherwise the server would run our claim script
                # first, and waiters would get their results later.
                await asyncio.sleep(0)
                await self._results.flush(FLUSH_TIMEOUT)
            rows, claimed_after = await self._fetcher.fetch(count)
        except (StoreAuthenticationError, StoreClosedError) as error:
            self._fatal = error
        except ConvergeError as error:
            _log.warning("worker %r cannot claim: %s", self._options.agent_id, error)
            await self._pause(jittered(MAX_BACKOFF / 2))
        finally:
            self._is_claiming = False
            self._changed.set()
        await self._start(rows, claimed_after)

    async def _pause(self, seconds: float) -> None:
        """Wait for some seconds, or until it is drained."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._is_draining:
                    self._changed.clear()
                    await self._changed.wait()

    async def _start(self, rows: Sequence[Row], claimed_after: float) -> None:
        """Work on claimed tasks.

        While there are always more, the next claim is sent before these rows are decoded: the server looks
        for one half of the concurrency while the worker works on the other half.
        """
        self._busy += len(rows)
        try:
            if self._fetcher.is_saturated and not self._is_draining:
                self._claim(self._capacity())
                await asyncio.sleep(0)
        finally:
            for row in rows:
                self._start_one(row, claimed_after)

    def _start_one(self, row: Row, claimed_after: float) -> None:
        try:
            claim = self._claims.add(decode_task(row), claimed_after)
        except Exception as error:
            self._busy -= 1
            _log.exception("worker %r has claimed a task that it cannot read", self._options.agent_id)
            self._settle(self._outcomes.fail_unreadable(row, error))
            return
        self._options.emit("claimed", claim.task)
        if self._is_draining:
            self._busy -= 1
            self._release(claim)
            return
        handling = asyncio.get_running_loop().create_task(self._handle(claim))
        self._handling[handling] = claim
        handling.add_done_callback(self._on_handled)

    # One task

    async def _handle(self, claim: Claim) -> None:
        """Run the handler. Outcomes without a result are reported by a task that draining does not cancel."""
        try:
            self._results.add(claim, await self._options.handlers.run(claim))
            return
        except asyncio.CancelledError as error:
            running = asyncio.current_task()
            if running is None or running.cancelling():
                raise  # the worker ends
            outcome = self._outcomes.fail_or_retry(claim, error)
        except TryLater as later:
            outcome = self._outcomes.release(claim, later.delay, count_attempt=False)
        except TaskFailure as failure:
            outcome = self._outcomes.fail(claim, failure.reason)
        except UnstorableResult as unstorable:
            outcome = self._outcomes.fail(claim, exception_reason(unstorable.error, claim.task.attempts))
        except Exception as error:
            outcome = self._outcomes.fail_or_retry(claim, error)
        self._settle(outcome, claim)

    def _on_handled(self, handling: "asyncio.Task[None]") -> None:
        claim = self._handling.pop(handling)
        self._busy -= 1
        self._changed.set()
        self._log_failure(handling)
        if handling.cancelled():
            self._release(claim)

    def _release(self, claim: Claim) -> None:
        """Release a task that was not finished, since the worker ends."""
        self._settle(self._outcomes.release(claim, 0.0, count_attempt=False), claim)

    def _settle(self, outcome: Coroutine[Any, Any, None], claim: Claim | None = None) -> None:
        """Report an outcome, and stop holding the claim."""
        settling = asyncio.get_running_loop().create_task(outcome)
        self._settling.add(settling)

        def on_settled(settling: "asyncio.Task[None]") -> None:
            self._settling.discard(settling)
            if claim is not None:
                self._claims.remove(claim)
            self._log_failure(settling)

        settling.add_done_callback(on_settled)

    def _log_failure(self, ended: "asyncio.Task[None]") -> None:
        if not ended.cancelled() and ended.exception() is not None:
            _log.error(
                "worker %r failed to report an outcome", self._options.agent_id, exc_info=ended.exception()
            )

    def _on_reported(self, claim: Claim, accepted: bool) -> None:
        self._claims.remove(claim)
        self._options.emit("completed" if accepted else "lost", claim.task)
