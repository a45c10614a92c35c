"""Where a worker's tasks come from."""

import time
from collections.abc import Sequence

from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.claim import Grant, Row, claim_or_wait, look
from converge_redis.tasks.claim_queue import Claimer, Visible
from converge_redis.tasks.model import TaskState

WAIT_SECONDS = 3600.0


class Supply:
    """Claims tasks, by one call at a time.

    While there are always more, it asks for what there is; else it waits in the server's queues.

    Args:
        store: Where the tasks are.
        agent_id: The agent that claims.
        visible: What it may have (`visible_lanes`).
        listener: The listener that is told when a claim ends by somebody else's doing.

    Attributes:
        flows: Whether the last call brought all that it asked for.
    """

    def __init__(self, store: AsyncRedisStore, agent_id: str, visible: Visible, listener: str) -> None:
        self.flows = False
        self._store = store
        self._grant = Grant(agent_id, state=TaskState.RUNNING)
        self._visible = visible
        self._listener = listener
        self._claimer: Claimer | None = None
        self._gives_up = False

    async def bring(self, wanted: int) -> tuple[Sequence[Row], float]:
        """Claim tasks.

        Returns:
            At most `wanted` tasks, and a time on ``time.monotonic()``, shortly before they were claimed.
        """
        space, grant, visible = self._store.namespace, self._grant, self._visible
        flows, self.flows = self.flows, False
        begun = time.monotonic()
        if flows:
            rows = await self._store.run(look(space, grant, visible, wanted, self._listener))
        else:
            waiting = claim_or_wait(space, grant, visible, wanted, WAIT_SECONDS, self._on_joined)
            rows = await self._store.run(waiting)
            if self._claimer is not None:
                begun = self._claimer.sent_at
        self.flows = len(rows) == wanted
        return rows, begun

    def give_up(self) -> None:
        """Wait no more; in the event loop."""
        self._gives_up = True
        if self._claimer is not None:
            self._claimer.give_up()

    def _on_joined(self, claimer: Claimer) -> None:
        self._claimer = claimer
        if self._gives_up:
            claimer.give_up()
