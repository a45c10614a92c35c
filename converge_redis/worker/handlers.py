"""Running handlers: coroutine functions in the event loop, plain functions in threads."""

import asyncio
import contextlib
import contextvars
import inspect
import queue
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from converge_redis.errors import InvalidTypeError
from converge_redis.tasks.model import Task
from converge_redis.worker.claim import Claim, set_current_claim

Handler = Callable[[Task], Any] | Callable[[Task], Awaitable[Any]]

_Job = tuple[contextvars.Context, Task, "asyncio.Future[Any]"]


class Handlers:
    """Runs one handler for many tasks.

    Args:
        handler: A function of a task that returns the result.

    Raises:
        InvalidTypeError: The handler cannot be called.
    """

    def __init__(self, handler: Handler) -> None:
        if not callable(handler):
            raise InvalidTypeError(f"handler must be a function of a task, not {type(handler).__name__}")
        call = getattr(handler, "__call__", handler)  # noqa: B004 - an object may have an async __call__
        self._is_async = inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(call)
        self._handler: Callable[[Task], Any] = handler
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._idle = 0
        self._threads = 0

    async def run(self, claim: Claim) -> Any:
        """Run the handler and return its result, or raise its error; in a task and a context of their own.

        A coroutine is cancelled when the claim is lost, and when this call is cancelled. A thread cannot be
        cancelled; it may check `Claim.is_lost`.
        """
        set_current_claim(claim)
        if self._is_async:
            return await self._run_coroutine(claim)
        return await self._run_in_thread(claim, contextvars.copy_context())

    async def _run_coroutine(self, claim: Claim) -> Any:
        loop, running = asyncio.get_running_loop(), asyncio.current_task()
        assert running is not None  # noqa: S101 - every coroutine runs in a task
        is_over = False

        def cancel() -> None:
            if not is_over:
                running.cancel()

        def cancel_soon() -> None:
            loop.call_soon_threadsafe(cancel)

        claim.on_lost(cancel_soon)
        try:
            return await self._handler(claim.task)
        except asyncio.CancelledError:
            if claim.error is not None and running.uncancel() == 0:
                raise claim.error from None
            raise
        finally:
            is_over = True
            claim.on_lost(None)  # else the claim and this frame reference each other

    async def _run_in_thread(self, claim: Claim, context: contextvars.Context) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._idle > 0:
            self._idle -= 1
        else:
            self._threads += 1
            threading.Thread(
                target=self._work, args=(future.get_loop(),), name="converge-redis-handler", daemon=True
            ).start()
        self._jobs.put((context, claim.task, future))
        try:
            return await future
        finally:
            if future.done() and not future.cancelled():
                self._idle += 1

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while (job := self._jobs.get()) is not None:
            context, task, future = job
            try:
                result, error = context.run(self._handler, task), None
            except BaseException as raised:
                result, error = None, raised
            with contextlib.suppress(RuntimeError):  # the worker has ended without waiting for this thread
                loop.call_soon_threadsafe(_settle, future, result, error)

    def close(self) -> None:
        """Let idle threads end, and busy ones after their task."""
        for _ in range(self._threads):
            self._jobs.put(None)


def _settle(future: "asyncio.Future[Any]", result: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration | KeyboardInterrupt | SystemExit):
        future.set_exception(RuntimeError(f"the handler raised {type(error).__name__}: {error}"))
    else:
        future.set_exception(error)
