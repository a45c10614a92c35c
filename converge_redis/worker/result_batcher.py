"""Reporting together what handlers have returned at about the same time."""

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from converge_redis.core.batching import chunks_of
from converge_redis.errors import ConvergeError, InvalidTypeError, InvalidValueError, StoreClosedError
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.tasks.settle import encode_result, reports
from converge_redis.worker.claim import Claim

REPORTS_PER_SCRIPT = 100
LONGEST_PAUSE = 2.0

_Report = tuple[Claim, bytes]
_log = logging.getLogger("converge_redis")


class UnstorableResult(Exception):  # noqa: N818 - as its peers in `outcomes`
    """What a handler has returned cannot be stored.

    Args:
        error: Why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Reports:
    """Tells the server what came out, for as long as the claims are held.

    What is added in one turn of the event loop is reported by one script for each shard.

    Args:
        store: Where the tasks are.
        agent_id: The agent that holds the claims.
        on_outcome: Called with each claim, and whether its result was accepted.
    """

    def __init__(
        self, store: AsyncRedisStore, agent_id: str, on_outcome: Callable[[Claim, bool], None]
    ) -> None:
        self._store = store
        self._agent_id = agent_id
        self._on_outcome = on_outcome
        self._waiting: list[_Report] = []
        self._under_way = set[asyncio.Task[None]]()

    def add(self, claim: Claim, result: Any) -> None:
        """Report a result, soon.

        Raises:
            UnstorableResult: It is no payload, or too large.
        """
        try:
            data = encode_result(self._store.namespace, result)
        except (InvalidTypeError, InvalidValueError) as error:
            raise UnstorableResult(error) from error
        self._waiting.append((claim, data))
        if len(self._waiting) == 1:  # what else is added in this turn is there when the task begins
            self._spawn(self._send_waiting())

    async def settled(self, timeout: float | None = None) -> None:
        """Wait until the outcome of all that was added is known, for at most `timeout` seconds."""
        ends = math.inf if timeout is None else time.monotonic() + timeout
        while self._under_way and (left := ends - time.monotonic()) > 0:
            await asyncio.wait(self._under_way, timeout=None if timeout is None else left)

    def give_up(self) -> None:
        """Report no more: the claims end with their leases."""
        for task in self._under_way:
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _send_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        by_shard: dict[int, list[_Report]] = {}
        for report in waiting:
            by_shard.setdefault(self._store.namespace.keys.shard_of(report[0].task.id), []).append(report)
        chunks = [
            (shard, chunk)
            for shard, of_shard in by_shard.items()
            for chunk in chunks_of(of_shard, lambda report: len(report[1]), REPORTS_PER_SCRIPT)
        ]
        for shard, chunk in chunks[1:]:
            self._spawn(self._send(shard, chunk))
        await self._send(*chunks[0])

    async def _send(self, shard: int, chunk: Sequence[_Report]) -> None:
        while chunk:
            claims = [
                (claim.task.id, self._agent_id, claim.task.claim_token or 0, data) for claim, data in chunk
            ]
            try:
                outcomes = await self._store.run(reports(self._store.namespace, shard, claims))
            except StoreClosedError:
                raise
            except ConvergeError as error:
                ids = ", ".join(repr(claim.task.id) for claim, _ in chunk)
                _log.warning("the outcome of task %s cannot be told yet: %s", ids, error)
                await asyncio.sleep(random.uniform(0.1, LONGEST_PAUSE))  # noqa: S311 - spreads load
                for claim, _ in chunk:
                    if claim.is_lost:
                        self._on_outcome(claim, False)
                chunk = [report for report in chunk if not report[0].is_lost]
            else:
                for (claim, _), outcome in zip(chunk, outcomes, strict=True):
                    self._on_outcome(claim, outcome is True)
                return
