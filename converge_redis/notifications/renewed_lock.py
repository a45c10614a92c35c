"""A lock that is renewed for as long as its holder is busy, whatever its own thread is busy with."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Protocol

from converge_redis.core.operation import Operation
from converge_redis.errors import ConvergeError


class _Run(Protocol):
    async def __call__(self, work: Operation[Any]) -> Any: ...


class KeptLock:
    """Renews a lock after each third of its time; made in the event loop.

    Args:
        run: Carries out an operation.
        seconds: How long the lock lasts.
        renew: Makes what renews it, and tells whether it was held still.
        release: Makes what gives it up.
    """

    def __init__(
        self,
        run: _Run,
        seconds: float,
        renew: Callable[[], Operation[bool]],
        release: Callable[[], Operation[None]],
    ) -> None:
        self._run = run
        self._pause = seconds / 3
        self._renew = renew
        self._release = release
        self._is_abandoned = False
        self._over = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.task = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while not self._over.is_set():
            try:
                async with asyncio.timeout(self._pause):
                    await self._over.wait()
            except TimeoutError:
                with contextlib.suppress(ConvergeError):  # the next one makes up for it
                    if not await self._run(self._renew()):
                        return
        if self._is_abandoned:
            with contextlib.suppress(ConvergeError):
                await self._run(self._release())

    def stop(self) -> None:
        """Renew it no more: its holder is done with it; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop was closed, and with it the listener
            self._loop.call_soon_threadsafe(self._over.set)

    def abandon(self) -> None:
        """Give it up: its holder has stopped without a result; from any thread."""
        self._is_abandoned = True
        self.stop()
