"""What a worker holds."""

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

from converge_redis.errors import ConvergeError, NotAuthorizedError
from converge_redis.notifications.listener import Listener
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.lease import extend_claims
from converge_redis.tasks.model import Task
from converge_redis.worker.claim import Claim
from converge_redis.worker.claim_keeper import ClaimKeeper

CLAIMS_PER_SCRIPT = 200


class Holdings:
    """The claims of a worker, from when they are made until their outcome was told.

    They are renewed by a `ClaimKeeper`. When one ends by somebody else's doing, the server tells the listener
    that it was made by, and the server is asked why; so it is after each lost connection.

    Args:
        store: Where the tasks are.
        agent_id: The agent that holds them.
        listener: The listener that they are made by.
    """

    def __init__(self, store: AsyncRedisStore, agent_id: str, listener: Listener) -> None:
        self._store = store
        self._agent_id = agent_id
        self._listener = listener
        self._claims = dict[tuple[str, int], Claim]()
        self._doubted: list[Claim] = []
        self._asking = set[asyncio.Task[None]]()
        self.keeper = ClaimKeeper(store, self._on_lost)

    def begin(self, task: Task, claimed_after: float) -> Claim:
        """Hold a claim from now on."""
        claim = Claim(task)
        self._claims[claim.key] = claim
        self.keeper.keep(task, claimed_after)
        self._listener.hold(*claim.key, partial(self._doubt, claim))
        return claim

    def let_go(self, claim: Claim) -> None:
        """Hold a claim no more: its outcome was told."""
        self.keeper.forget(claim.task)
        self._listener.let_go(*claim.key)
        self._claims.pop(claim.key, None)

    def _on_lost(self, task: Task, error: NotAuthorizedError) -> None:
        """In the keeper's thread: a renewal was refused, or the lease has run out."""
        claim = self._claims.get((task.id, task.claim_token or 0))
        if claim is not None:
            claim.lose(error)

    def _doubt(self, claim: Claim) -> None:
        """The server tells that a claim has ended, or may have told so while nobody listened."""
        self._doubted.append(claim)
        if len(self._doubted) == 1:  # what else is told in this turn is there when the task begins
            asking = asyncio.get_running_loop().create_task(self._ask_why())
            self._asking.add(asking)
            asking.add_done_callback(self._asking.discard)

    async def _ask_why(self) -> None:
        doubted, self._doubted = self._doubted, []
        by_shard: dict[int, list[Claim]] = {}
        for claim in doubted:
            by_shard.setdefault(self._store.namespace.keys.shard_of(claim.task.id), []).append(claim)
        for shard, of_shard in by_shard.items():
            for start in range(0, len(of_shard), CLAIMS_PER_SCRIPT):
                with contextlib.suppress(ConvergeError):  # the next renewal tells
                    await self._ask_about(shard, of_shard[start : start + CLAIMS_PER_SCRIPT])

    async def _ask_about(self, shard: int, claims: Sequence[Claim]) -> None:
        asked = [(claim.task.id, self._agent_id, claim.task.claim_token or 0) for claim in claims]
        outcomes = await self._store.run(extend_claims(self._store.namespace, shard, asked))
        for claim, outcome in zip(claims, outcomes, strict=True):
            if isinstance(outcome, NotAuthorizedError):
                claim.lose(outcome)
