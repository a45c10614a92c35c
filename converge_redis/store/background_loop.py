"""The background loop: a thread with an event loop, in which blocking stores run their listener."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from converge_redis.errors import StoreClosedError

T = TypeVar("T")


class BackgroundLoop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.pid = os.getpid()  # a fork copies this object, but not the thread
        self._is_stopped = False
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._main, name="converge-redis-listener", daemon=True)
        self._thread.start()

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._cancel_all())
        finally:
            self._loop.close()

    async def _cancel_all(self) -> None:
        """Cancel what was submitted before the stop: other threads wait for it."""
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
            if self._is_stopped:
                raise StoreClosedError from None
            raise

    @property
    def is_running(self) -> bool:
        """Whether the loop has not been stopped, and runs in this process."""
        return not self._is_stopped and self.pid == os.getpid()

    def ensure_running(self) -> None:
        """Raise `StoreClosedError` when the loop has been stopped."""
        if not self.is_running:
            raise StoreClosedError

    def submit(self, work: Coroutine[Any, Any, T]) -> "concurrent.futures.Future[T]":
        """Start a coroutine in the loop.

        Raises:
            StoreClosedError: The loop was stopped; also from the future, when it is stopped meanwhile.
        """
        with self._lock:  # a coroutine that is submitted after the stop would never run
            if self._is_stopped:
                work.close()
                raise StoreClosedError
            return asyncio.run_coroutine_threadsafe(self._until_stopped(work), self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the loop and return its result; an interrupt cancels it."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call a function in the loop, soon; nothing once the loop was stopped."""
        with self._lock:
            if not self._is_stopped:
                self._loop.call_soon_threadsafe(callback, *args)

    def stop(self) -> None:
        """End the loop and the thread."""
        with self._lock:
            self._is_stopped = True
            self._loop.call_soon_threadsafe(self._loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()
