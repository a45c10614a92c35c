"""Keeping claims alive, whatever the program that works on them is busy with."""

import asyncio
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from converge_redis.errors import ClaimLostError, ConvergeError, InvalidValueError, NotAuthorizedError
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.async_runner import closed
from converge_redis.store.background_loop import BackgroundLoop
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.lease import extend_claims
from converge_redis.tasks.model import Task

RENEWED_AFTER = 1 / 3
"""Of a lease; then two more attempts fit in."""

SHORTEST_PAUSE = 0.05
LONGEST_PAUSE = 1.0
MOST_PATIENCE = 5.0
TOGETHER_SECONDS = 0.01
CLAIMS_PER_SCRIPT = 200
WORRYING_FAILURES = 3
"""One after another; a busy machine alone causes fewer."""

OnClaimLost = Callable[[Task, NotAuthorizedError], None]

_log = logging.getLogger("converge_redis")


class _Lease:
    """A claim that is kept.

    Attributes:
        ends: When the lease may have run out, on ``time.monotonic()``.
        due: When it is to be renewed, likewise; infinite while a renewal is under way.
    """

    __slots__ = ("due", "ends", "failures", "is_kept", "task")

    def __init__(self, task: Task, ends: float, due: float) -> None:
        self.task = task
        self.ends = ends
        self.due = due
        self.failures = 0
        self.is_kept = True

    @property
    def key(self) -> tuple[str, int]:
        return self.task.id, self.task.claim_token or 0


class ClaimKeeper:
    """Renews claims from a thread of its own with a connection of its own.

    A busy event loop, or a long call into C that lets other threads run, does not lose claims. Lost
    connections are lived through until the lease has surely run out: its length after the last successful
    renewal was *sent*, on this machine's monotonic clock. The server's lease ends no earlier.

    Use it as a context manager, or call `close`.

    Args:
        store: Where the tasks are; the keeper makes connections with its settings.
        on_claim_lost: Called, in the keeper's thread, with a task and the reason when a claim has ended
            otherwise than by `forget`: it ran out, was taken back, or the task was cancelled. Drop the work.
    """

    def __init__(self, store: RedisStore | AsyncRedisStore, on_claim_lost: OnClaimLost | None = None) -> None:
        self._space = store.namespace
        self._on_claim_lost = on_claim_lost
        self._leases = dict[tuple[str, int], _Lease]()
        self._lock = threading.Lock()  # of the leases: most claims begin and end without the keeper's thread
        self._wakes_at = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._under_way = set[asyncio.Task[None]]()
        self._runner = store.new_runner()
        self._loop = BackgroundLoop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def keep(self, task: Task, claimed_after: float | None = None) -> None:
        """Renew a claim until it is forgotten or lost; a claim without a lease needs no renewal.

        Args:
            task: The task as the claim returned it.
            claimed_after: A time on this machine's ``time.monotonic()``, shortly before the claim was made.
                None: not known; the claim is renewed at once.

        Raises:
            InvalidValueError: Nobody has claimed the task.
            StoreClosedError: The keeper was closed.
        """
        if task.assigned_to is None or task.claim_token is None or task.state.terminal:
            raise InvalidValueError(f"task {task.id!r} is not claimed: keep what claim_next returned")
        if not self._loop.runs:
            raise closed()
        if task.claim_expires_at is None:
            return
        length = task.claim_expires_at - (task.claimed_at or 0.0)
        began = time.monotonic() if claimed_after is None else claimed_after
        due = began if claimed_after is None else began + length * RENEWED_AFTER
        key = (task.id, task.claim_token)
        lease = _Lease(task, began + length, due)
        with self._lock:
            if key in self._leases:
                self._leases[key].is_kept = False
            self._leases[key] = lease
            is_early = due < self._wakes_at
        if is_early:
            self._loop.soon(self._wake_at, due)

    def forget(self, task: Task) -> None:
        """Renew a claim no more: the work is done."""
        with self._lock:
            lease = self._leases.pop((task.id, task.claim_token or 0), None)
        if lease is not None:
            lease.is_kept = False

    def close(self) -> None:
        """Renew nothing more. A second call has no effect."""
        if self._loop.runs:
            self._loop.call(self._runner.aclose())
            self._loop.stop()

    # In the keeper's thread

    def _wake_at(self, due: float) -> None:
        """Look at the leases at a time, unless that happens before."""
        if self._timer is not None:
            if self._wakes_at <= due:
                return
            self._timer.cancel()
        self._wakes_at = due
        delay = max(0.0, due - time.monotonic()) + TOGETHER_SECONDS
        self._timer = asyncio.get_running_loop().call_later(delay, self._look)

    def _look(self) -> None:
        """Renew what is due, lose what has ended, and come again."""
        self._timer = None
        now = time.monotonic()
        by_shard: dict[int, list[_Lease]] = {}
        with self._lock:
            leases = list(self._leases.values())
            self._wakes_at = math.inf
        for lease in leases:
            if lease.ends <= now:
                self._on_end(lease)
            elif lease.due <= now:
                lease.due = math.inf
                by_shard.setdefault(self._space.keys.shard_of(lease.task.id), []).append(lease)
        for shard, due in by_shard.items():
            for start in range(0, len(due), CLAIMS_PER_SCRIPT):
                work = self._renew(shard, due[start : start + CLAIMS_PER_SCRIPT])
                task = asyncio.get_running_loop().create_task(work)
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)
        with self._lock:
            left = [min(lease.due, lease.ends) for lease in self._leases.values()]
        if left:
            self._wake_at(min(left))

    async def _renew(self, shard: int, leases: Sequence[_Lease]) -> None:
        claims = [(lease.task.id, str(lease.task.assigned_to), lease.key[1]) for lease in leases]
        sent_at = time.monotonic()
        left = min(lease.ends for lease in leases) - sent_at
        try:
            async with asyncio.timeout(min(max(left / 2, MOST_PATIENCE / 10), MOST_PATIENCE)):
                outcomes = await self._runner.run(extend_claims(self._space, shard, claims))
        except (ConvergeError, TimeoutError) as error:
            self._try_again([lease for lease in leases if lease.is_kept], error)
            return
        for lease, outcome in zip(leases, outcomes, strict=True):
            if lease.is_kept:
                self._take(lease, sent_at, outcome)

    def _take(self, lease: _Lease, sent_at: float, outcome: float | NotAuthorizedError | None) -> None:
        if isinstance(outcome, NotAuthorizedError):
            self._lose(lease, outcome)
        elif outcome is None:
            self.forget(lease.task)  # it has no lease after all
        else:
            lease.ends = sent_at + outcome
            lease.failures = 0
            lease.due = max(sent_at + outcome * RENEWED_AFTER, time.monotonic() + SHORTEST_PAUSE)
            self._wake_at(min(lease.due, lease.ends))

    def _try_again(self, leases: Sequence[_Lease], error: Exception) -> None:
        for lease in leases:
            lease.failures += 1
            pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**lease.failures)
            lease.due = time.monotonic() + pause * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
            self._wake_at(min(lease.due, lease.ends))
        ids = ", ".join(repr(lease.task.id) for lease in leases if lease.failures == WORRYING_FAILURES)
        if ids:
            reason = str(error) or "no reply in time"
            _log.warning("claims could not be renewed %d times: %s: %s", WORRYING_FAILURES, ids, reason)

    def _on_end(self, lease: _Lease) -> None:
        agent, task_id = lease.task.assigned_to, lease.task.id
        self._lose(
            lease,
            ClaimLostError(
                f"agent {agent!r} may have lost task {task_id!r}: its lease ran out before a renewal"
            ),
        )

    def _lose(self, lease: _Lease, error: NotAuthorizedError) -> None:
        self.forget(lease.task)
        if self._on_claim_lost is not None:
            try:
                self._on_claim_lost(lease.task, error)
            except Exception:
                _log.exception("on_claim_lost failed for task %r", lease.task.id)
