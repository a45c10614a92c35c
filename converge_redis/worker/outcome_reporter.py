"""The outcome reporter: fails and releases the tasks whose handlers return no result."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from converge_redis.core.backoff import MAX_BACKOFF, jittered
from converge_redis.errors import (
    ConvergeError,
    InvalidTypeError,
    InvalidValueError,
    NotAuthorizedError,
    StoreClosedError,
)
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.claim_steps import Row
from converge_redis.tasks.manager import AsyncTaskManager
from converge_redis.tasks.model import Task
from converge_redis.worker.claim import Claim
from converge_redis.worker.outcomes import exception_reason

MAX_RETRY_BACKOFF = 3600.0

_log = logging.getLogger("converge_redis")


class OutcomeReporter:
    """Fails and releases tasks, again and again for as long as their claims are held.

    Args:
        store: Where the tasks are.
        agent_id: The agent that holds the claims.
        retries: How many attempts may follow the first one of a task.
        backoff_sec: Seconds before the second attempt, at most; doubled for each further one.
        emit: Called with the event and the task of each outcome.
    """

    def __init__(
        self,
        store: AsyncRedisStore,
        agent_id: str,
        retries: int,
        backoff_sec: float,
        emit: Callable[[str, Task], None],
    ) -> None:
        self._manager = AsyncTaskManager(store)
        self._agent_id = agent_id
        self._retries = retries
        self._backoff_sec = backoff_sec
        self._emit = emit

    async def fail_or_retry(self, claim: Claim, error: BaseException) -> None:
        """After an exception of the handler, release the task for another attempt, or fail it."""
        task = claim.task
        if error is claim.error:
            self._emit("lost", task)
            return
        if task.attempts > self._retries:
            await self.fail(claim, exception_reason(error, task.attempts))
            return
        _log.info("attempt %d of task %r failed: %r", task.attempts, task.id, error)
        longest = min(MAX_RETRY_BACKOFF, self._backoff_sec * 2 ** min(task.attempts - 1, 30))
        delay = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
        await self.release(claim, delay, count_attempt=True)

    async def fail(self, claim: Claim, reason: Any) -> None:
        """Fail a task for good."""
        task = claim.task

        def fail(stored_reason: Any) -> Coroutine[Any, Any, bool]:
            return self._manager.fail_task(
                task.id, stored_reason, agent_id=self._agent_id, claim_token=task.claim_token
            )

        try:
            await self._report("failed", claim, lambda: fail(reason))
        except (InvalidTypeError, InvalidValueError) as unstorable:
            instead = exception_reason(unstorable, task.attempts)
            await self._report("failed", claim, lambda: fail(instead))

    async def fail_unreadable(self, row: Row, error: Exception) -> None:
        """Fail a claimed task that cannot be read, by this worker or by any other."""
        with contextlib.suppress(ConvergeError):  # it stays claimed until its lease ends
            task_id = row[0].decode()
            await self._manager.fail_task(task_id, exception_reason(error, 1), agent_id=self._agent_id)

    async def release(self, claim: Claim, delay: float, *, count_attempt: bool) -> None:
        """Release a task; it can be claimed again after `delay` seconds."""
        task = claim.task
        await self._report(
            "released",
            claim,
            lambda: self._manager.release(
                self._agent_id,
                task.id,
                delay=delay,
                claim_token=task.claim_token,
                count_attempt=count_attempt,
            ),
        )

    async def _report(self, event: str, claim: Claim, call: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        while True:
            try:
                accepted = await call()
            except NotAuthorizedError:
                accepted = False
            except (StoreClosedError, InvalidTypeError, InvalidValueError):
                raise
            except ConvergeError as error:
                _log.warning("the outcome of task %r cannot be reported yet: %s", claim.task.id, error)
                if not claim.is_lost:
                    await asyncio.sleep(jittered(MAX_BACKOFF / 2))
                    continue
                accepted = False
            self._emit(event if accepted else "lost", claim.task)
            return
