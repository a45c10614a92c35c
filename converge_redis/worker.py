"""The worker loop: claim, keep the claim alive, run the handler, settle."""

import asyncio
import contextlib
import gc
import logging
import random
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from functools import partial
from typing import Any

from converge_redis.async_store import AsyncRedisStore
from converge_redis.checks import check_id, check_integer, check_seconds
from converge_redis.claim_keeper import ClaimKeeper
from converge_redis.errors import (
    ConvergeError,
    InvalidTypeError,
    NotAuthorizedError,
    StoreAuthenticationError,
    StoreClosedError,
)
from converge_redis.listening.claimers import Claimer
from converge_redis.listening.listener import Listener
from converge_redis.operation import Steps, listen
from converge_redis.operations.claiming import Grant, Row, claim_or_wait, look, visible_lanes
from converge_redis.operations.holding import extend_claims
from converge_redis.operations.task_replies import read_task
from converge_redis.store import RedisStore
from converge_redis.task import Task, TaskState
from converge_redis.working.claim import Claim
from converge_redis.working.handlers import Handler, Handlers
from converge_redis.working.outcomes import TaskFailure, TryLater, reason_of
from converge_redis.working.reports import Reports, UnstorableResult
from converge_redis.working.settlement import Settlement

WAIT_SECONDS = 3600.0
LONGEST_PAUSE = 2.0
MOST_PATIENCE = 5.0
"""Seconds for the last reports when the worker ends, whatever the grace for handlers is."""

_log = logging.getLogger("converge_redis")


class Worker:
    """Works on tasks until it is told to end.

    It waits for tasks by push, renews their claims from a thread of its own (`ClaimKeeper`), and runs a
    handler for each: coroutine functions in its event loop, plain functions in threads. What the handler
    returns is reported. A handler whose claim is lost, or whose task is cancelled, is cancelled too; a plain
    function is told by `current_claim`. What it returns then changes nothing.

    Args:
        store: Where the tasks are.
        agent_id: The agent that claims; one for each worker.
        handler: ``handler(task)`` returns the result, or raises: `TaskFailure` (failed for good), `TryLater`
            (given back), anything else: tried again up to `retries` times, then failed with the exception as
            the reason.
        pool_ids: The pools that the agent is in; None: no filter, as in `TaskManager.claim_next`.
        capabilities: What the agent can do; None: no filter.
        topics: The topics that the agent takes; None: no filter.
        concurrency: How many tasks it works on at a time.
        retries: How many attempts may follow the first one of a task when the handler raises.
        backoff_sec: Seconds before the second attempt, at most; doubled for each further one, and drawn from
            the upper half of that.
        grace_sec: Seconds that handlers have to finish when the worker is told to end.
        on_event: Called with ``"claimed"``, ``"completed"``, ``"failed"``, ``"released"`` or ``"lost"``, and
            the task.

    Raises:
        InvalidTypeError, InvalidValueError: An argument is malformed.
    """

    def __init__(
        self,
        store: RedisStore | AsyncRedisStore,
        agent_id: str,
        handler: Handler,
        *,
        pool_ids: Iterable[str] | None = None,
        capabilities: Iterable[str] | None = None,
        topics: Iterable[str] | None = None,
        concurrency: int = 1,
        retries: int = 0,
        backoff_sec: float = 1.0,
        grace_sec: float = 30.0,
        on_event: Callable[[str, Task], None] | None = None,
    ) -> None:
        if not isinstance(store, RedisStore | AsyncRedisStore):
            raise InvalidTypeError(
                f"store must be a RedisStore or AsyncRedisStore, not {type(store).__name__}"
            )
        self._given = store
        self._agent_id = check_id("agent_id", agent_id)
        self._handlers = Handlers(handler)
        self._grant = Grant(agent_id, state=TaskState.RUNNING)
        self._visible = visible_lanes(pool_ids, capabilities, topics)
        self._concurrency = check_integer("concurrency", concurrency, 1, 1000)
        self._retries = check_integer("retries", retries, 0, 2**31)
        self._backoff = check_seconds("backoff_sec", backoff_sec, zero=True)
        self._grace = check_seconds("grace_sec", grace_sec, zero=True)
        self._on_event = on_event
        self._claims = dict[tuple[str, int], Claim]()
        self._running = set[asyncio.Task[None]]()
        self._claimer: Claimer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drains = False
        self._changed = asyncio.Event()
        self._busy = 0
        self._flows = False  # the last call brought all that it asked for
        self._fetching: asyncio.Task[None] | None = None

    def run(self) -> None:
        """Work until `drain` is called, or, in the main thread, SIGTERM or SIGINT is received.

        Raises:
            StoreAuthenticationError, ConfigurationError: The store cannot be used.
        """
        asyncio.run(self._run_until_signal())

    def drain(self, grace: float | None = None) -> None:
        """Make the worker end: it claims nothing more, lets handlers finish, and gives back what is left.

        What is given back does not use up an attempt. From any thread; returns at once.

        Args:
            grace: Seconds that handlers have to finish; None: the worker's `grace_sec`.
        """
        if grace is not None:
            self._grace = check_seconds("grace", grace, zero=True)
        self._drains = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._notice_drain)

    def _notice_drain(self) -> None:
        if self._claimer is not None:
            self._claimer.give_up()
        self._changed.set()

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        in_main = threading.current_thread() is threading.main_thread()
        if in_main:
            gc.freeze()  # what was imported stays: the collector need not look at it again and again
        signals = (signal.SIGTERM, signal.SIGINT) if in_main else ()
        for number in signals:
            loop.add_signal_handler(number, self.drain)
        try:
            await self.arun()
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    async def arun(self) -> None:
        """Work until `drain` is called, as `run`, in a running event loop; signals are the caller's.

        When it is cancelled, it drains without any grace.
        """
        self._loop = asyncio.get_running_loop()
        if isinstance(self._given, AsyncRedisStore):
            await self._work(self._given)
        else:
            async with AsyncRedisStore.like(self._given) as store:
                await self._work(store)

    async def _work(self, store: AsyncRedisStore) -> None:
        self._store = await store.open()
        self._listener = await store.run(_listener())
        self._reports = Reports(store, self._agent_id, self._on_reported)
        self._settlement = Settlement(store, self._agent_id, self._retries, self._backoff, self._tell)
        with ClaimKeeper(store, self._on_claim_lost) as self._keeper:
            try:
                while not self._drains:
                    wanted = self._wanted()
                    if not wanted:
                        self._changed.clear()
                        await self._changed.wait()
                    elif self._flows:
                        self._fetch(wanted)
                    else:
                        await self._claim(wanted)
                await self._finish(self._grace)
            finally:
                await self._finish(0.0)
                self._handlers.close()

    async def _finish(self, grace: float) -> None:
        """Wait for what is under way; then give it back."""
        ends = time.monotonic() + grace
        if self._fetching is not None:
            await asyncio.wait((self._fetching,), timeout=MOST_PATIENCE)  # what it claims is given back too
        while self._running and (left := ends - time.monotonic()) > 0:
            await asyncio.wait(self._running, timeout=left)
        for running in self._running:
            running.cancel()
        while self._running:
            await asyncio.wait(self._running)
        await self._reports.settled(max(MOST_PATIENCE, ends - time.monotonic()))
        self._reports.give_up()

    # Claiming

    def _wanted(self) -> int:
        """How many tasks to ask for now: at most half of what it works on at a time, and by one call."""
        room = self._concurrency - self._busy
        return min(room, (self._concurrency + 1) // 2) if self._fetching is None else 0

    def _fetch(self, wanted: int) -> None:
        """Claim tasks while others are worked on; where there are none, the next call waits for them."""
        self._fetching = self._spawn(self._fetched(wanted, time.monotonic()))

    async def _fetched(self, wanted: int, begun: float) -> None:
        rows: list[Row] = []
        try:
            steps = look(self._store.namespace, self._grant, self._visible, wanted, self._listener.id)
            rows = await self._store.run(steps)
        except ConvergeError as error:
            _log.warning("worker %r cannot claim: %s", self._agent_id, error)
        finally:
            self._fetching = None
        await self._begin(rows, wanted, begun)

    async def _claim(self, wanted: int) -> None:
        """Claim tasks; wait where there are none."""
        # What handlers return at once is told first: the server would tell those who wait for it only after
        # it has looked for more.
        await asyncio.sleep(0)
        await self._reports.settled(MOST_PATIENCE)
        steps = claim_or_wait(
            self._store.namespace, self._grant, self._visible, wanted, WAIT_SECONDS, self._on_joined
        )
        try:
            rows = await self._store.run(steps)
        except (StoreAuthenticationError, StoreClosedError):
            raise
        except ConvergeError as error:
            _log.warning("worker %r cannot claim: %s", self._agent_id, error)
            await asyncio.sleep(random.uniform(0.2, LONGEST_PAUSE))  # noqa: S311 - spreads load
            return
        await self._begin(rows, wanted, self._claimer.sent_at if self._claimer is not None else None)

    def _on_joined(self, claimer: Claimer) -> None:
        self._claimer = claimer
        if self._drains:
            claimer.give_up()

    async def _begin(self, rows: Sequence[Row], wanted: int, claimed_after: float | None) -> None:
        """Work on tasks that were claimed.

        While there are always more, the next ones are asked for before these are read: the server looks for
        one half of what is worked on at a time while the worker works on the other.
        """
        self._busy += len(rows)
        self._flows = len(rows) == wanted
        more = self._wanted()
        try:
            if self._flows and more and not self._drains:
                self._fetch(more)
                await asyncio.sleep(0)
        finally:
            for row in rows:
                self._begin_with(row, claimed_after)

    def _begin_with(self, row: Row, claimed_after: float | None) -> None:
        try:
            task = read_task(row)
        except ConvergeError:
            self._busy -= 1
            _log.exception("worker %r has claimed a task that it cannot read", self._agent_id)
            return
        claim = Claim(task)
        self._claims[claim.key] = claim
        self._keeper.keep(task, claimed_after)
        self._listener.hold(*claim.key, partial(self._ask_why, claim))
        self._tell("claimed", task)
        self._spawn(self._work_on(claim))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        running = asyncio.get_running_loop().create_task(work)
        self._running.add(running)
        running.add_done_callback(self._on_end)
        return running

    def _on_end(self, running: "asyncio.Task[None]") -> None:
        self._running.discard(running)
        self._changed.set()
        if not running.cancelled() and running.exception() is not None:
            _log.error("worker %r failed to settle a task", self._agent_id, exc_info=running.exception())

    # One task

    async def _work_on(self, claim: Claim) -> None:
        is_reported = False
        try:
            try:
                self._reports.add(claim, await self._handlers.run(claim))
                is_reported = True
            finally:
                self._busy -= 1
                self._changed.set()
        except asyncio.CancelledError:
            await self._settlement.give_back(claim, 0.0, count_attempt=False)
            raise
        except TryLater as later:
            await self._settlement.give_back(claim, later.delay, count_attempt=False)
        except TaskFailure as failure:
            await self._settlement.fail(claim, failure.reason)
        except UnstorableResult as unstorable:
            await self._settlement.fail(claim, reason_of(unstorable.error, claim.task.attempts))
        except Exception as error:
            await self._settlement.fail_or_retry(claim, error)
        finally:
            if not is_reported:
                self._let_go(claim)

    def _on_reported(self, claim: Claim, accepted: bool) -> None:
        self._let_go(claim)
        self._tell("completed" if accepted else "lost", claim.task)

    def _let_go(self, claim: Claim) -> None:
        self._keeper.forget(claim.task)
        self._listener.let_go(*claim.key)
        self._claims.pop(claim.key, None)

    # Lost claims

    def _on_claim_lost(self, task: Task, error: NotAuthorizedError) -> None:
        """In the keeper's thread: a renewal was refused, or the lease has run out."""
        claim = self._claims.get((task.id, task.claim_token or 0))
        if claim is not None:
            claim.lose(error)

    def _ask_why(self, claim: Claim) -> None:
        """The server tells that a claim has ended, or may have told so while nobody listened."""
        asking = asyncio.ensure_future(self._renew(claim))
        asking.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _renew(self, claim: Claim) -> None:
        task, space = claim.task, self._store.namespace
        shard = space.keys.shard_of(task.id)
        claims = [(task.id, self._agent_id, task.claim_token or 0)]
        (outcome,) = await self._store.run(extend_claims(space, shard, claims))
        if isinstance(outcome, NotAuthorizedError):
            claim.lose(outcome)

    def _tell(self, event: str, task: Task) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event, task)
        except Exception:
            _log.exception("on_event failed")


def _listener() -> Steps[Listener]:
    async def itself(listener: Listener) -> Listener:
        return listener

    return (yield from listen(itself))
