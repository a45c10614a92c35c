"""The fetcher: claims tasks for a worker, one call at a time."""

import time
from collections.abc import Sequence

from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.claim_filter import ClaimFilter
from converge_redis.tasks.claim_queue import WaitingClaimer
from converge_redis.tasks.claim_steps import ClaimRequest, Grant, Row, claim_available, claim_or_wait
from converge_redis.tasks.model import TaskState

WAIT_SECONDS = 3600.0


class Fetcher:
    """Claims tasks. While claims come back full, it claims without waiting; else it waits in the claim queue.

    Args:
        store: Where the tasks are.
        agent_id: The agent that claims.
        claim_filter: Which lanes it may claim from.
        listener: The listener to notify when another process ends a claim.

    Attributes:
        is_saturated: Whether the last call returned as many tasks as it asked for.
    """

    def __init__(
        self, store: AsyncRedisStore, agent_id: str, claim_filter: ClaimFilter, listener: str
    ) -> None:
        self.is_saturated = False
        self._store = store
        grant = Grant(agent_id, state=TaskState.RUNNING)
        self._request = ClaimRequest(store._namespace, grant, claim_filter, listener)
        self._claimer: WaitingClaimer | None = None
        self._is_stopping = False

    async def fetch(self, count: int) -> tuple[Sequence[Row], float]:
        """Claim tasks.

        Returns:
            At most `count` tasks, and a time on ``time.monotonic()`` shortly before they were claimed.
        """
        was_saturated, self.is_saturated = self.is_saturated, False
        began = time.monotonic()
        if was_saturated:
            rows = await self._store._run(claim_available(self._request, count, list))
        else:
            rows = await self._store._run(claim_or_wait(self._request, count, WAIT_SECONDS, self._on_waiting))
            if self._claimer is not None:
                began = self._claimer.sent_at
        self.is_saturated = len(rows) == count
        return rows, began

    def stop(self) -> None:
        """End a wait; in the event loop."""
        self._is_stopping = True
        if self._claimer is not None:
            self._claimer.stop_waiting()

    def _on_waiting(self, claimer: WaitingClaimer) -> None:
        self._claimer = claimer
        if self._is_stopping:
            claimer.stop_waiting()
