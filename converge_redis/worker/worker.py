"""The worker: claims tasks, keeps the claims alive, runs a handler, and reports its results."""

import asyncio
import contextlib
import gc
import logging
import signal
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self, TypeVar

from converge_redis.core.operation import Procedure
from converge_redis.core.validation import validate_id, validate_integer, validate_seconds
from converge_redis.errors import ConfigurationError, InvalidTypeError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.steps import with_listener
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.redis_store import RedisStore
from converge_redis.tasks.claim_filter import encode_filter
from converge_redis.tasks.model import Task
from converge_redis.worker.handlers import Handler, Handlers
from converge_redis.worker.run import WorkerOptions, WorkerRun

H = TypeVar("H", bound=Handler)

_log = logging.getLogger("converge_redis")


class Worker:
    """Claims tasks and runs a handler for each, until it is drained.

    It waits for tasks by push, renews their claims from a thread of its own (`ClaimKeeper`), and runs a
    handler for each task: coroutine functions in its event loop, plain functions in threads. The return value
    of the handler is the result of the task. When the claim is lost or the task is cancelled, a coroutine is
    cancelled too, and a plain function can check `current_claim`; its result is then ignored.

    As a context manager it works in a thread of its own, and drains at the end of the block; as an
    asynchronous one it works in the running event loop.
    """

    def __init__(
        self,
        store: RedisStore | AsyncRedisStore,
        agent_id: str,
        handler: Handler | None = None,
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
        """Make a worker; `run` starts it.

        Args:
            store: Where the tasks are.
            agent_id: The agent that claims; one for each worker.
            handler: ``handler(task)`` returns the result, or raises: `TaskFailure` (failed for good),
                `TryLater` (released), anything else: tried again up to `retries` times, then failed with the
                exception as the reason. None: it is set by the decorator `handler`.
            pool_ids: The agent's pools; None: no filter, as in `TaskManager.claim_next`.
            capabilities: The agent's capabilities; None: no filter.
            topics: The agent's topics; None: no filter.
            concurrency: How many tasks it works on at the same time.
            retries: How many attempts may follow the first one of a task when the handler raises.
            backoff_sec: Seconds before the second attempt, at most; doubled for each further one, and drawn
                from the upper half of that.
            grace_sec: Seconds that handlers have to finish when the worker is drained.
            on_event: Called with ``"claimed"``, ``"completed"``, ``"failed"``, ``"released"`` or ``"lost"``,
                and the task.

        Raises:
            InvalidTypeError, InvalidValueError: An argument is malformed.
        """
        if not isinstance(store, RedisStore | AsyncRedisStore):
            raise InvalidTypeError(
                f"store must be a RedisStore or AsyncRedisStore, not {type(store).__name__}"
            )
        self._user_store = store
        self._agent_id = validate_id("agent_id", agent_id)
        self._handlers = None if handler is None else Handlers(handler)
        self._claim_filter = encode_filter(pool_ids, capabilities, topics)
        self._concurrency = validate_integer("concurrency", concurrency, 1, 1000)
        self._retries = validate_integer("retries", retries, 0, 2**31)
        self._backoff_sec = validate_seconds("backoff_sec", backoff_sec, zero=True)
        self._grace_sec = validate_seconds("grace_sec", grace_sec, zero=True)
        self._on_event = on_event
        self._loop: asyncio.AbstractEventLoop | None = None
        self._run: WorkerRun | None = None
        self._is_draining = False
        self._thread: _WorkerThread | None = None
        self._task: asyncio.Task[None] | None = None

    def handler(self, function: H) -> H:
        """Set the handler; a decorator.

        Args:
            function: See the constructor.

        Raises:
            InvalidTypeError: It cannot be called.
        """
        self._handlers = Handlers(function)
        return function

    def run(self) -> None:
        """Work until `drain` is called, or, in the main thread, SIGTERM or SIGINT is received.

        Raises:
            StoreAuthenticationError, ConfigurationError: The store cannot be used, or there is no handler.
        """
        asyncio.run(self._run_until_signal())

    def drain(self, grace_sec: float | None = None) -> None:
        """Drain the worker: it stops claiming, lets handlers finish, and releases the other tasks.

        A released task has not used up an attempt. From any thread; returns at once.

        Args:
            grace_sec: Seconds that handlers have to finish; None: the worker's `grace_sec`.
        """
        if grace_sec is not None:
            self._grace_sec = validate_seconds("grace_sec", grace_sec, zero=True)
        self._is_draining = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # its event loop has ended already
                self._loop.call_soon_threadsafe(self._begin_drain)

    def stop(self) -> None:
        """End the run without grace: handlers are cancelled, and their tasks released.

        From any thread; returns at once.
        """
        self.drain(0.0)

    def __enter__(self) -> Self:
        self._thread = _WorkerThread(self)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()
        if self._thread is not None:
            self._thread.join_and_raise()

    async def __aenter__(self) -> Self:
        self._task = asyncio.get_running_loop().create_task(self.arun())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.drain()
        if self._task is not None:
            await self._task

    def __repr__(self) -> str:
        return f"Worker({self._user_store!r}, agent_id={self._agent_id!r})"

    def _begin_drain(self) -> None:
        if self._run is not None:
            self._run.drain(self._grace_sec)

    async def _run_until_signal(self) -> None:
        loop = asyncio.get_running_loop()
        in_main = threading.current_thread() is threading.main_thread()
        if in_main:
            gc.collect()
            gc.freeze()  # imported modules stay: the collector need not traverse them again and again
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
        """Work until `drain` is called, as `run`, in a running event loop; signals are left to the caller.

        When it is cancelled, it drains without any grace.

        Raises:
            StoreAuthenticationError, ConfigurationError: The store cannot be used, or there is no handler.
        """
        self._loop = asyncio.get_running_loop()
        if isinstance(self._user_store, AsyncRedisStore):
            await self._work(self._user_store)
        else:
            async with AsyncRedisStore.like(self._user_store) as store:
                await self._work(store)

    async def _work(self, store: AsyncRedisStore) -> None:
        if self._handlers is None:
            raise ConfigurationError(
                f"worker {self._agent_id!r} has no handler: pass one, or use @worker.handler"
            )
        options = WorkerOptions(
            self._agent_id,
            self._handlers,
            self._claim_filter,
            self._concurrency,
            self._retries,
            self._backoff_sec,
            self._emit,
        )
        await store.open()
        self._run = WorkerRun(store, await store._run(_own_listener()), options, self._grace_sec)
        if self._is_draining:
            self._begin_drain()
        await self._run.work()

    def _emit(self, event: str, task: Task) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event, task)
        except Exception:
            _log.exception("on_event failed")


class _WorkerThread(threading.Thread):
    """The thread of a worker that is used as a context manager."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(name="converge-redis-worker", daemon=True)
        self._worker = worker
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._worker.run()
        except BaseException as error:
            self._error = error

    def join_and_raise(self) -> None:
        self.join()
        if self._error is not None:
            raise self._error


def _own_listener() -> Procedure[Listener]:
    return (yield from with_listener(lambda listener: listener))
