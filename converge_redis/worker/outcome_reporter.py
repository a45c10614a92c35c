"""Telling the server what came out of a task whose handler has not returned a result."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from converge_redis.errors import (
    ConvergeError,
    InvalidTypeError,
    InvalidValueError,
    NotAuthorizedError,
    StoreClosedError,
)
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.claim import Row
from converge_redis.tasks.manager import AsyncTaskManager
from converge_redis.tasks.model import Task
from converge_redis.worker.claim import Claim
from converge_redis.worker.outcomes import reason_of

LONGEST_PAUSE = 2.0
LONGEST_BACKOFF = 3600.0

_log = logging.getLogger("converge_redis")


class Settlement:
    """Fails tasks, and gives them back, for as long as their claims are held.

    Args:
        store: Where the tasks are.
        agent_id: The agent that holds the claims.
        retries: How many attempts may follow the first one of a task.
        backoff: Seconds before the second attempt, at most; doubled for each further one.
        tell: Called with what has become of a claim, and its task.
    """

    def __init__(
        self,
        store: AsyncRedisStore,
        agent_id: str,
        retries: int,
        backoff: float,
        tell: Callable[[str, Task], None],
    ) -> None:
        self._manager = AsyncTaskManager(store)
        self._agent_id = agent_id
        self._retries = retries
        self._backoff = backoff
        self._tell = tell

    async def fail_or_retry(self, claim: Claim, error: BaseException) -> None:
        """After an exception of the handler: give the task back for another attempt, or fail it."""
        task = claim.task
        if error is claim.error:
            self._tell("lost", task)
            return
        if task.attempts > self._retries:
            await self.fail(claim, reason_of(error, task.attempts))
            return
        _log.info("attempt %d of task %r failed: %r", task.attempts, task.id, error)
        longest = min(LONGEST_BACKOFF, self._backoff * 2 ** min(task.attempts - 1, 30))
        delay = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load
        await self.give_back(claim, delay, count_attempt=True)

    async def fail(self, claim: Claim, reason: Any) -> None:
        """Fail a task for good."""
        task = claim.task

        def fail(why: Any) -> Coroutine[Any, Any, bool]:
            return self._manager.fail_task(
                task.id, why, agent_id=self._agent_id, claim_token=task.claim_token
            )

        try:
            await self._settle("failed", claim, lambda: fail(reason))
        except (InvalidTypeError, InvalidValueError) as unstorable:
            instead = reason_of(unstorable, task.attempts)
            await self._settle("failed", claim, lambda: fail(instead))

    async def fail_unread(self, row: Row, error: Exception) -> None:
        """Fail a task that was claimed and cannot be read: nobody could."""
        with contextlib.suppress(ConvergeError):  # it is claimed until its lease ends
            task_id = row[0].decode()
            await self._manager.fail_task(task_id, reason_of(error, 1), agent_id=self._agent_id)

    async def give_back(self, claim: Claim, delay: float, *, count_attempt: bool) -> None:
        """Give a task back; it can be claimed again after `delay` seconds."""
        task = claim.task
        await self._settle(
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

    async def _settle(self, event: str, claim: Claim, act: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        while True:
            try:
                accepted = await act()
            except NotAuthorizedError:
                accepted = False
            except (StoreClosedError, InvalidTypeError, InvalidValueError):
                raise
            except ConvergeError as error:
                _log.warning("the outcome of task %r cannot be told yet: %s", claim.task.id, error)
                if not claim.is_lost:
                    await asyncio.sleep(random.uniform(0.1, LONGEST_PAUSE))  # noqa: S311 - spreads load
                    continue
                accepted = False
            self._tell(event if accepted else "lost", claim.task)
            return
