"""A thread with an event loop, in which blocking stores listen: the listener is written for asyncio only."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from converge_redis.store.async_runner import closed

T = TypeVar("T")


class BackgroundLoop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()  # a fork copies this object, but not the thread
        self._stopped = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="converge-redis-listener", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._end_all())
        finally:
            self._loop.close()

    async def _end_all(self) -> None:
        """End what was submitted before the stop: somebody waits for it."""
        for _ in range(2):
            await asyncio.sleep(0)  # what was submitted last becomes a task, and begins
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_stopped(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await work
        except asyncio.CancelledError:
            if self._stopped:
                raise closed() from None
            raise

    @property
    def runs(self) -> bool:
        """Whether the loop has not been stopped, and runs in this process."""
        return not self._stopped and self.pid == os.getpid()

    def check_runs(self) -> None:
        """Raise `StoreClosedError` when the loop has been stopped."""
        if not self.runs:
            raise closed()

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Start a coroutine in the loop.

        Raises:
            StoreClosedError: The loop was stopped; also from the future, when it is stopped meanwhile.
        """
        with self._lock:  # nothing is submitted behind the stop, where it would never run
            if self._stopped:
                work.close()
                raise closed()
            return asyncio.run_coroutine_threadsafe(self._until_stopped(work), self._loop)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return its result; an interrupt cancels it."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Have a function called in the loop, soon; nothing once the loop was stopped."""
        with self._lock:
            if not self._stopped:
                self._loop.call_soon_threadsafe(callback, *args)

    def stop(self) -> None:
        """End the loop and the thread."""
        with self._lock:
            self._stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()
