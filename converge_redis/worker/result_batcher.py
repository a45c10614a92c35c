"""The result batcher: reports results that handlers return at about the same time together."""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from converge_redis.core.backoff import MAX_BACKOFF, jittered
from converge_redis.core.batching import batches_by
from converge_redis.errors import ConvergeError, InvalidTypeError, InvalidValueError, StoreClosedError
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.settle import encode_result, report_encoded
from converge_redis.worker.claim import Claim

RESULTS_PER_SCRIPT = 100

_Result = tuple[Claim, bytes]
_log = logging.getLogger("converge_redis")


class UnstorableResult(Exception):  # noqa: N818 - as its peers in `outcomes`
    """A handler returned a result that cannot be stored.

    Args:
        error: Why not.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class ResultBatcher:
    """Reports results, again and again for as long as their claims are held.

    Results of one turn of the event loop are reported by one script per shard.

    Args:
        store: Where the tasks are.
        agent_id: The agent that holds the claims.
        on_reported: Called with each claim, and whether its result was accepted.
    """

    def __init__(
        self, store: AsyncRedisStore, agent_id: str, on_reported: Callable[[Claim, bool], None]
    ) -> None:
        self._store = store
        self._agent_id = agent_id
        self._on_reported = on_reported
        self._queue: list[_Result] = []
        self._in_flight = set[asyncio.Task[None]]()

    def add(self, claim: Claim, result: Any) -> None:
        """Report a result, soon.

        Raises:
            UnstorableResult: It is not a payload, or too large.
        """
        try:
            data = encode_result(self._store._namespace, result)
        except (InvalidTypeError, InvalidValueError) as error:
            raise UnstorableResult(error) from error
        self._queue.append((claim, data))
        if len(self._queue) == 1:  # further results of this turn are there when the task begins
            self._spawn(self._send_queued())

    async def flush(self, timeout: float | None = None) -> None:
        """Wait until all results are reported, for at most `timeout` seconds."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while self._in_flight and (left := deadline - time.monotonic()) > 0:
            await asyncio.wait(self._in_flight, timeout=None if timeout is None else left)

    def cancel(self) -> None:
        """Stop reporting: the claims end with their leases."""
        for task in self._in_flight:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)

    async def _send_queued(self) -> None:
        queue, self._queue = self._queue, []
        keys = self._store._namespace.keys
        batches = batches_by(
            lambda result: keys.shard_of(result[0].task.id),
            queue,
            RESULTS_PER_SCRIPT,
            lambda result: len(result[1]),
        )
        for shard, batch in batches[1:]:
            self._spawn(self._send(shard, batch))
        await self._send(*batches[0])

    async def _send(self, shard: int, batch: Sequence[_Result]) -> None:
        while batch:
            results = [
                (claim.task.id, self._agent_id, claim.task.claim_token or 0, data) for claim, data in batch
            ]
            try:
                outcomes = await self._store._run(report_encoded(self._store._namespace, shard, results))
            except StoreClosedError:
                raise
            except ConvergeError as error:
                ids = ", ".join(repr(claim.task.id) for claim, _ in batch)
                _log.warning("the result of task %s cannot be reported yet: %s", ids, error)
                await asyncio.sleep(jittered(MAX_BACKOFF / 2))
                for claim, _ in batch:
                    if claim.is_lost:
                        self._on_reported(claim, False)
                batch = [result for result in batch if not result[0].is_lost]
            else:
                for (claim, _), outcome in zip(batch, outcomes, strict=True):
                    self._on_reported(claim, outcome is True)
                return
