"""The held claims of a worker: from the claim until its outcome is reported."""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

from converge_redis.core.batching import batches_by
from converge_redis.errors import ConvergeError, NotAuthorizedError
from converge_redis.notifications.listener import Listener
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.lease import extend_claims
from converge_redis.tasks.model import Task
from converge_redis.tasks.waiters import ClaimEnds
from converge_redis.worker.claim import Claim
from converge_redis.worker.claim_keeper import ClaimKeeper

CLAIMS_PER_SCRIPT = 200


class HeldClaims:
    """The claims that a worker holds.

    A `ClaimKeeper` renews them. When another process ends one, the server notifies the listener that claimed
    it, and the worker verifies the claim; it also does after each reconnect, since the message may have been
    lost.

    Args:
        store: Where the tasks are.
        agent_id: The agent that holds them.
        listener: The listener of the store in this event loop.
    """

    def __init__(self, store: AsyncRedisStore, agent_id: str, listener: Listener) -> None:
        self._store = store
        self._agent_id = agent_id
        self._ends = listener.part(ClaimEnds)
        self._claims = dict[tuple[str, int], Claim]()
        self._suspects: list[Claim] = []
        self._verifying = set[asyncio.Task[None]]()
        self.keeper = ClaimKeeper(store, self._on_lost)

    def add(self, task: Task, claimed_after: float) -> Claim:
        """Hold a claim."""
        claim = Claim(task)
        self._claims[claim.key] = claim
        self.keeper.keep(task, claimed_after)
        self._ends.add(*claim.key, partial(self._suspect, claim))
        return claim

    def remove(self, claim: Claim) -> None:
        """Stop holding a claim: its outcome was reported."""
        self.keeper.discard(claim.task)
        self._ends.remove(*claim.key)
        self._claims.pop(claim.key, None)

    def _on_lost(self, task: Task, error: NotAuthorizedError) -> None:
        """In the keeper's thread: a renewal was refused, or the lease has run out."""
        claim = self._claims.get((task.id, task.claim_token or 0))
        if claim is not None:
            claim.lose(error)

    def _suspect(self, claim: Claim) -> None:
        """Verify a claim: the server reported its end, or may have while there was no connection."""
        self._suspects.append(claim)
        if len(self._suspects) == 1:  # further suspects of this turn are there when the task begins
            verifying = asyncio.get_running_loop().create_task(self._verify())
            self._verifying.add(verifying)
            verifying.add_done_callback(self._verifying.discard)

    async def _verify(self) -> None:
        suspects, self._suspects = self._suspects, []
        keys = self._store._namespace.keys
        for shard, claims in batches_by(
            lambda claim: keys.shard_of(claim.task.id), suspects, CLAIMS_PER_SCRIPT
        ):
            with contextlib.suppress(ConvergeError):  # the next renewal finds out
                await self._verify_batch(shard, claims)

    async def _verify_batch(self, shard: int, claims: Sequence[Claim]) -> None:
        held = [(claim.task.id, self._agent_id, claim.task.claim_token or 0) for claim in claims]
        outcomes = await self._store._run(extend_claims(self._store._namespace, shard, held))
        for claim, outcome in zip(claims, outcomes, strict=True):
            if isinstance(outcome, NotAuthorizedError):
                claim.lose(outcome)
