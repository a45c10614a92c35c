"""Keeping claims alive, whatever the program that works on them is busy with."""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from converge_redis.async_store import AsyncRedisStore
from converge_redis.background import BackgroundLoop
from converge_redis.errors import ClaimLostError, ConvergeError, InvalidValueError, NotAuthorizedError
from converge_redis.operations.holding import extend_claims
from converge_redis.store import RedisStore
from converge_redis.task import Task

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
    """

    __slots__ = ("end_timer", "ends", "failures", "is_kept", "renewal_timer", "task")

    def __init__(self, task: Task, ends: float) -> None:
        self.task = task
        self.ends = ends
        self.failures = 0
        self.is_kept = True
        self.renewal_timer: asyncio.TimerHandle | None = None
        self.end_timer: asyncio.TimerHandle | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.task.id, self.task.claim_token or 0

    def drop(self) -> None:
        self.is_kept = False
        for timer in (self.renewal_timer, self.end_timer):
            if timer is not None:
                timer.cancel()


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
        self._due: list[_Lease] = []
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
        self._loop.check_runs()
        if task.claim_expires_at is not None:
            self._loop.soon(self._add, task, claimed_after)

    def forget(self, task: Task) -> None:
        """Renew a claim no more: the work is done."""
        self._loop.soon(self._forget, (task.id, task.claim_token or 0))

    def close(self) -> None:
        """Renew nothing more. A second call has no effect."""
        if self._loop.runs:
            self._loop.call(self._runner.aclose())
            self._loop.stop()

    # In the keeper's thread

    def _add(self, task: Task, claimed_after: float | None) -> None:
        length = (task.claim_expires_at or 0.0) - (task.claimed_at or 0.0)
        began = time.monotonic() if claimed_after is None else claimed_after
        lease = _Lease(task, began + length)
        self._forget(lease.key)
        self._leases[lease.key] = lease
        self._renew_at(lease, began + (0.0 if claimed_after is None else length * RENEWED_AFTER))
        self._watch_end(lease)

    def _renew_at(self, lease: _Lease, due: float) -> None:
        if lease.renewal_timer is not None:
            lease.renewal_timer.cancel()
        delay = max(0.0, due - time.monotonic())
        lease.renewal_timer = asyncio.get_running_loop().call_later(delay, self._on_due, lease)

    def _watch_end(self, lease: _Lease) -> None:
        if lease.end_timer is not None:
            lease.end_timer.cancel()
        delay = max(0.0, lease.ends - time.monotonic())
        lease.end_timer = asyncio.get_running_loop().call_later(delay, self._on_end, lease)

    def _on_due(self, lease: _Lease) -> None:
        if not self._due:
            asyncio.get_running_loop().call_later(TOGETHER_SECONDS, self._renew_due)
        self._due.append(lease)

    def _renew_due(self) -> None:
        due, self._due = self._due, []
        by_shard: dict[int, list[_Lease]] = {}
        for lease in due:
            if lease.is_kept:
                by_shard.setdefault(self._space.keys.shard_of(lease.task.id), []).append(lease)
        for shard, leases in by_shard.items():
            for start in range(0, len(leases), CLAIMS_PER_SCRIPT):
                work = self._renew(shard, leases[start : start + CLAIMS_PER_SCRIPT])
                task = asyncio.get_running_loop().create_task(work)
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

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
            self._forget(lease.key)  # it has no lease after all
        else:
            lease.ends = sent_at + outcome
            lease.failures = 0
            due = max(sent_at + outcome * RENEWED_AFTER, time.monotonic() + SHORTEST_PAUSE)
            self._renew_at(lease, due)
            self._watch_end(lease)

    def _try_again(self, leases: Sequence[_Lease], error: Exception) -> None:
        for lease in leases:
            lease.failures += 1
            pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**lease.failures)
            self._renew_at(lease, time.monotonic() + pause * random.uniform(0.5, 1.0))  # noqa: S311
        ids = ", ".join(repr(lease.task.id) for lease in leases if lease.failures == WORRYING_FAILURES)
        if ids:
            reason = str(error) or "no reply in time"
            _log.warning("claims could not be renewed %d times: %s: %s", WORRYING_FAILURES, ids, reason)

    def _on_end(self, lease: _Lease) -> None:
        if not lease.is_kept:
            return
        if time.monotonic() < lease.ends:
            self._watch_end(lease)  # timers may be early by a hair
            return
        agent, task_id = lease.task.assigned_to, lease.task.id
        self._lose(
            lease,
            ClaimLostError(
                f"agent {agent!r} may have lost task {task_id!r}: its lease ran out before a renewal"
            ),
        )

    def _forget(self, key: tuple[str, int]) -> None:
        lease = self._leases.pop(key, None)
        if lease is not None:
            lease.drop()

    def _lose(self, lease: _Lease, error: NotAuthorizedError) -> None:
        self._forget(lease.key)
        if self._on_claim_lost is not None:
            try:
                self._on_claim_lost(lease.task, error)
            except Exception:
                _log.exception("on_claim_lost failed for task %r", lease.task.id)
