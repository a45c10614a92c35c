"""The claim keeper: renews claims from a separate thread, whatever the program is doing."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from converge_redis.core.backoff import jittered
from converge_redis.core.batching import batches_by
from converge_redis.errors import (
    ClaimLostError,
    ConvergeError,
    InvalidValueError,
    NotAuthorizedError,
    StoreClosedError,
)
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.background_loop import BackgroundLoop
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.lease import extend_claims
from converge_redis.tasks.model import Task

RENEW_AFTER = 1 / 3
"""The part of a lease after which it is renewed; two more attempts fit into the rest."""

MIN_PAUSE = 0.05
MAX_PAUSE = 1.0
RENEW_TIMEOUT = 5.0
COALESCE_SECONDS = 0.01
CLAIMS_PER_SCRIPT = 200
WARN_AFTER_FAILURES = 3
"""Failures in a row before a warning; a busy machine alone causes fewer."""

OnClaimLost = Callable[[Task, NotAuthorizedError], None]

_log = logging.getLogger("converge_redis")


class _Lease:
    """A claim that is being renewed.

    Attributes:
        expires_at: When the lease may have run out, on ``time.monotonic()``.
        renew_at: When it is to be renewed, likewise; infinite while a renewal is in flight.
    """

    __slots__ = ("expires_at", "failures", "is_active", "renew_at", "task")

    def __init__(self, task: Task, expires_at: float, renew_at: float) -> None:
        self.task = task
        self.expires_at = expires_at
        self.renew_at = renew_at
        self.failures = 0
        self.is_active = True

    @property
    def key(self) -> tuple[str, int]:
        return self.task.id, self.task.claim_token or 0


class ClaimKeeper:
    """Renews claims from a thread of its own with a connection of its own.

    A busy event loop, or a long call into C that lets other threads run, does not lose claims. After a lost
    connection it keeps trying until the lease has certainly run out: its length after the last successful
    renewal was *sent*, on this machine's monotonic clock. The lease on the server ends no earlier.

    Use it as a context manager, or call `close`.

    Args:
        store: Where the tasks are; the keeper makes connections with its settings.
        on_claim_lost: Called, in the keeper's thread, with a task and the reason when its claim has ended,
            except by `discard`: it expired, was replaced, or the task was cancelled. Drop the work.
    """

    def __init__(self, store: RedisStore | AsyncRedisStore, on_claim_lost: OnClaimLost | None = None) -> None:
        self._namespace = store._namespace
        self._on_claim_lost = on_claim_lost
        self._leases = dict[tuple[str, int], _Lease]()
        # Guards the leases: most claims begin and end without the keeper's thread.
        self._lock = threading.Lock()
        self._wakes_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._in_flight = set[asyncio.Task[None]]()
        self._runner = store._new_runner()
        self._loop = BackgroundLoop()

    def __repr__(self) -> str:
        return f"ClaimKeeper(namespace={self._namespace.name!r}, claims={len(self._leases)})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def keep(self, task: Task, claimed_after: float | None = None) -> None:
        """Renew a claim until it is discarded or lost; a claim without a lease needs no renewal.

        Args:
            task: The task as the claim returned it.
            claimed_after: A time on this machine's ``time.monotonic()``, shortly before the claim was made.
                None: not known; the claim is renewed at once.

        Raises:
            InvalidValueError: The task is not claimed.
            StoreClosedError: The keeper was closed.
        """
        if task.assigned_to is None or task.claim_token is None or task.state.terminal:
            raise InvalidValueError(f"task {task.id!r} is not claimed: keep what claim_next returned")
        if not self._loop.is_running:
            raise StoreClosedError
        if task.claim_expires_at is None:
            return
        ttl = task.claim_expires_at - (task.claimed_at or 0.0)
        began = time.monotonic() if claimed_after is None else claimed_after
        due = began if claimed_after is None else began + ttl * RENEW_AFTER
        key = (task.id, task.claim_token)
        lease = _Lease(task, began + ttl, due)
        with self._lock:
            if key in self._leases:
                self._leases[key].is_active = False
            self._leases[key] = lease
            is_early = due < self._wakes_at
        if is_early:
            self._loop.call_soon(self._wake_at, due)

    def discard(self, task: Task) -> None:
        """Stop renewing a claim: the work is done."""
        with self._lock:
            lease = self._leases.pop((task.id, task.claim_token or 0), None)
        if lease is not None:
            lease.is_active = False

    def close(self) -> None:
        """Stop renewing all claims. A second call has no effect."""
        if self._loop.is_running:
            self._loop.run(self._runner.aclose())
            self._loop.stop()

    # In the keeper's thread

    def _wake_at(self, due: float) -> None:
        """Renew what is due at a time, unless the timer fires before."""
        if self._timer is not None:
            if self._wakes_at <= due:
                return
            self._timer.cancel()
        self._wakes_at = due
        delay = max(0.0, due - time.monotonic()) + COALESCE_SECONDS
        self._timer = asyncio.get_running_loop().call_later(delay, self._renew_due)

    def _renew_due(self) -> None:
        """Renew the leases that are due, lose those that have expired, and set the timer again."""
        self._timer = None
        now = time.monotonic()
        due_leases: list[_Lease] = []
        with self._lock:
            leases = list(self._leases.values())
            self._wakes_at = math.inf
        for lease in leases:
            if lease.expires_at <= now:
                self._on_expired(lease)
            elif lease.renew_at <= now:
                lease.renew_at = math.inf
                due_leases.append(lease)
        keys = self._namespace.keys
        for shard, batch in batches_by(
            lambda lease: keys.shard_of(lease.task.id), due_leases, CLAIMS_PER_SCRIPT
        ):
            task = asyncio.get_running_loop().create_task(self._renew(shard, batch))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
        with self._lock:
            left = [min(lease.renew_at, lease.expires_at) for lease in self._leases.values()]
        if left:
            self._wake_at(min(left))

    async def _renew(self, shard: int, leases: Sequence[_Lease]) -> None:
        claims = [(lease.task.id, str(lease.task.assigned_to), lease.key[1]) for lease in leases]
        sent_at = time.monotonic()
        left = min(lease.expires_at for lease in leases) - sent_at
        try:
            async with asyncio.timeout(min(max(left / 2, RENEW_TIMEOUT / 10), RENEW_TIMEOUT)):
                outcomes = await self._runner.run(extend_claims(self._namespace, shard, claims))
        except (ConvergeError, TimeoutError) as error:
            self._retry_later([lease for lease in leases if lease.is_active], error)
            return
        for lease, outcome in zip(leases, outcomes, strict=True):
            if lease.is_active:
                self._apply(lease, sent_at, outcome)

    def _apply(self, lease: _Lease, sent_at: float, outcome: float | NotAuthorizedError | None) -> None:
        if isinstance(outcome, NotAuthorizedError):
            self._lose(lease, outcome)
        elif outcome is None:
            self.discard(lease.task)  # it has no lease
        else:
            lease.expires_at = sent_at + outcome
            lease.failures = 0
            lease.renew_at = max(sent_at + outcome * RENEW_AFTER, time.monotonic() + MIN_PAUSE)
            self._wake_at(min(lease.renew_at, lease.expires_at))

    def _retry_later(self, leases: Sequence[_Lease], error: Exception) -> None:
        for lease in leases:
            lease.failures += 1
            pause = min(MAX_PAUSE, MIN_PAUSE * 2**lease.failures)
            lease.renew_at = time.monotonic() + jittered(pause * 0.75, 1 / 3)
            self._wake_at(min(lease.renew_at, lease.expires_at))
        ids = ", ".join(repr(lease.task.id) for lease in leases if lease.failures == WARN_AFTER_FAILURES)
        if ids:
            reason = str(error) or "no reply in time"
            _log.warning("claims could not be renewed %d times: %s: %s", WARN_AFTER_FAILURES, ids, reason)

    def _on_expired(self, lease: _Lease) -> None:
        agent, task_id = lease.task.assigned_to, lease.task.id
        self._lose(
            lease,
            ClaimLostError(
                f"agent {agent!r} may have lost task {task_id!r}: its lease ran out before a renewal",
                "claim_lost",
                agent,
                task_id,
            ),
        )

    def _lose(self, lease: _Lease, error: NotAuthorizedError) -> None:
        self.discard(lease.task)
        if self._on_claim_lost is not None:
            try:
                self._on_claim_lost(lease.task, error)
            except Exception:
                _log.exception("on_claim_lost failed for task %r", lease.task.id)
