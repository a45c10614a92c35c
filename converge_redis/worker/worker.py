"""The worker loop: claim, keep the claim alive, run the handler, settle."""

import asyncio
import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Callable, Iterable

from converge_redis.core.operation import Steps, listen
from converge_redis.core.validation import check_id, check_integer, check_seconds
from converge_redis.errors import InvalidTypeError
from converge_redis.notifications.listener import Listener
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.claim import visible_lanes
from converge_redis.tasks.model import Task
from converge_redis.worker.handlers import Handler, Handlers
from converge_redis.worker.run import Shift, Terms

_log = logging.getLogger("converge_redis")


class Worker:
    """Works on tasks until it is told to end.

    It waits for tasks by push, renews their claims from a thread of its own (`ClaimKeeper`), and runs a
    handler for each: coroutine functions in its event loop, plain functions in threads. What the handler
    returns is reported. A handler whose claim is lost, or whose task is cancelled, is cancelled too; a plain
    function is told by `current_claim`. What it returns then changes nothing.

    Args:
        store: Where the tasks are.
        agent_id: The agent that claims; one for each worker.
        handler: ``handler(task)`` returns the result, or raises: `TaskFailure` (failed for good), `TryLater`
            (given back), anything else: tried again up to `retries` times, then failed with the exception as
            the reason.
        pool_ids: The pools that the agent is in; None: no filter, as in `TaskManager.claim_next`.
        capabilities: What the agent can do; None: no filter.
        topics: The topics that the agent takes; None: no filter.
        concurrency: How many tasks it works on at a time.
        retries: How many attempts may follow the first one of a task when the handler raises.
        backoff_sec: Seconds before the second attempt, at most; doubled for each further one, and drawn from
            the upper half of that.
        grace_sec: Seconds that handlers have to finish when the worker is told to end.
        on_event: Called with ``"claimed"``, ``"completed"``, ``"failed"``, ``"released"`` or ``"lost"``, and
            the task.

    Raises:
        InvalidTypeError, InvalidValueError: An argument is malformed.
    """

    def __init__(
        self,
        store: RedisStore | AsyncRedisStore,
        agent_id: str,
        handler: Handler,
        *,
        pool_ids: Iterable[str] | None = None,
        capabilities: Iterable[str] | None = None,
        topics: Iterable[str] | None = None,
        concurrency: int = 1,
        retries: int = 0,
        backoff_sec: float = 1.0,
        grace_sec: float = 30.0,
        on_event: Callable[[str, Task], None] | None = None,
    ) -> None:
        if not isinstance(store, RedisStore | AsyncRedisStore):
            raise InvalidTypeError(
                f"store must be a RedisStore or AsyncRedisStore, not {type(store).__name__}"
            )
        self._given = store
        self._grace = check_seconds("grace_sec", grace_sec, zero=True)
        self._on_event = on_event
        self._terms = Terms(
            check_id("agent_id", agent_id),
            Handlers(handler),
            visible_lanes(pool_ids, capabilities, topics),
            check_integer("concurrency", concurrency, 1, 1000),
            check_integer("retries", retries, 0, 2**31),
            check_seconds("backoff_sec", backoff_sec, zero=True),
            self._tell,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._shift: Shift | None = None
        self._drains = False

    def run(self) -> None:
        """Work until `drain` is called, or, in the main thread, SIGTERM or SIGINT is received.

        Raises:
            StoreAuthenticationError, ConfigurationError: The store cannot be used.
        """
        asyncio.run(self._run_until_signal())

    def drain(self, grace: float | None = None) -> None:
        """Make the worker end: it claims nothing more, lets handlers finish, and gives back what is left.

        What is given back does not use up an attempt. From any thread; returns at once.

        Args:
            grace: Seconds that handlers have to finish; None: the worker's `grace_sec`.
        """
        if grace is not None:
            self._grace = check_seconds("grace", grace, zero=True)
        self._drains = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._notice_drain)

    def _notice_drain(self) -> None:
        if self._shift is not None:
            self._shift.drain(self._grace)

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        in_main = threading.current_thread() is threading.main_thread()
        if in_main:
            gc.collect()
            gc.freeze()  # what was imported stays: the collector need not look at it again and again
        signals = (signal.SIGTERM, signal.SIGINT) if in_main else ()
        for number in signals:
            loop.add_signal_handler(number, self.drain)
        try:
            await self.arun()
        finally:
            for number in signals:
                loop.remove_signal_handler(number)
            if in_main:
                gc.unfreeze()

    async def arun(self) -> None:
        """Work until `drain` is called, as `run`, in a running event loop; signals are the caller's.

        When it is cancelled, it drains without any grace.
        """
        self._loop = asyncio.get_running_loop()
        if isinstance(self._given, AsyncRedisStore):
            await self._work(self._given)
        else:
            async with AsyncRedisStore.like(self._given) as store:
                await self._work(store)

    async def _work(self, store: AsyncRedisStore) -> None:
        await store.open()
        self._shift = Shift(store, await store.run(_listener()), self._terms, self._grace)
        if self._drains:
            self._notice_drain()
        await self._shift.work()

    def _tell(self, event: str, task: Task) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event, task)
        except Exception:
            _log.exception("on_event failed")


def _listener() -> Steps[Listener]:
    async def itself(listener: Listener) -> Listener:
        return listener

    return (yield from listen(itself))
