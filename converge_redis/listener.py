"""The listener: the one subscribed connection of a process and event loop; the server tells it what happens.

A message is a hint, the state is the truth. A task is read only after its channel's subscription is
acknowledged, read again when the connection had to be made anew, and as a last resort every half a minute
or so: a lost message delays a waiter, it never strands it.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

import redis.asyncio
from redis import exceptions
from redis.asyncio.client import PubSub

from converge_redis.errors import StoreClosedError, StoreUnavailableError
from converge_redis.keys import Keys
from converge_redis.task import Task

REREAD_SECONDS = 30.0
SILENCE_SECONDS = 15.0
"""A connection silent for so long is asked for a sign of life, and given up after as long again."""

CHANNELS_PER_COMMAND = 1000
LONGEST_PAUSE = 2.0

Watched = tuple[Task | None, float | None]  # a task, and the seconds until time alone may end it
Read = Callable[[Sequence[str]], Awaitable[list[Watched]]]
# redis-py gives an AttributeError for a write to a connection that was closed a moment before.
_LOST = (exceptions.ConnectionError, exceptions.TimeoutError, OSError, AttributeError)


class Listener:
    """Waits for messages on behalf of all verbs of one store in one event loop.

    Args:
        client: The client whose settings the connection is made with.
        keys: The namespace's key names.
        read: Reads the present state of tasks.
    """

    def __init__(self, client: "redis.asyncio.Redis", keys: Keys, read: Read) -> None:
        self._client = client
        self._read = read
        self._keys = keys
        self._task_of = dict[str, str]()  # channel → task id
        self._waiters = dict[str, set[asyncio.Future[Task | None]]]()  # task id → who waits
        self._unread = set[str]()  # ids of tasks that may have ended
        self._work = {keys.work(shard) for shard in range(keys.shards)}
        self._work_channels_ready = set[str]()
        self._work_waiters = set[asyncio.Future[None]]()
        self._work_heard = 0
        self._wanted = set[str]()  # channels that somebody needs
        self._changed = set[str]()  # channels to subscribe to, or to leave
        self._pubsub: PubSub | None = None
        self._sender_wakes = asyncio.Event()
        self._reader_wakes = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False
        # The loops look at this besides being cancelled: up to Python 3.11, asyncio.wait_for, with which
        # redis-py sends, swallows a cancellation that arrives together with its result (bpo-37658).
        self._running = False

    async def wait_until_done(
        self, task_ids: Sequence[str], timeout: float | None, enough: int
    ) -> dict[str, Task]:
        """Wait until tasks are terminal.

        Args:
            task_ids: The tasks.
            timeout: The most seconds to wait; None: no limit.
            enough: Return when so many are terminal, or when those that are not are unknown.

        Returns:
            Those that are terminal, by id; fewer than `enough` when the time was up.

        Raises:
            StoreClosedError: The listener was closed meanwhile.
        """
        futures = {task_id: self._watch(task_id) for task_id in dict.fromkeys(task_ids)}
        done: dict[str, Task] = {}
        try:
            async with asyncio.timeout(timeout):
                for ended in asyncio.as_completed(futures.values()):
                    task = await ended
                    if task is not None:
                        done[task.id] = task
                        if len(done) >= enough:
                            break
        except TimeoutError:
            pass
        finally:
            for task_id, future in futures.items():
                self._unwatch(task_id, future)
        return done

    async def work_after(self, heard: int | None, seconds: float) -> int:
        """Wait for an announcement of claimable work.

        Args:
            heard: The count that the call before returned; None: only make sure that announcements are heard.
            seconds: The most seconds to wait.

        Returns:
            The number of announcements heard so far.

        Raises:
            StoreClosedError: The listener was closed meanwhile.
        """
        self._start()
        if heard is None and not self._work <= self._wanted:
            self._wanted |= self._work
            self._change(self._work)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._work_heard == heard or not self._work <= self._work_channels_ready:
                    future = asyncio.get_running_loop().create_future()
                    self._work_waiters.add(future)
                    try:
                        await future
                    finally:
                        self._work_waiters.discard(future)
        return self._work_heard

    async def aclose(self) -> None:
        """End all waits with `StoreClosedError`, and give the connection back."""
        self._closed = True
        self._running = False
        self._fail_all(_closed())
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        if self._closed:
            raise _closed()
        if not self._tasks:
            self._running = True
            loops = (self._keep_connected(), self._keep_subscribed(), self._keep_reading())
            self._tasks = [asyncio.create_task(loop) for loop in loops]
            for task in self._tasks:
                task.add_done_callback(self._on_end)

    def _on_end(self, task: "asyncio.Task[None]") -> None:
        """Tell all who wait when one of the loops ended by an error that it cannot live with."""
        if not self._running:
            if not task.cancelled():
                task.exception()  # seen
            return
        error = None if task.cancelled() else task.exception()
        self._running = False
        self._fail_all(error or StoreUnavailableError("the listener was cancelled from outside; wait again"))
        self._wanted.clear()
        self._changed.clear()
        self._work_channels_ready.clear()
        for other in self._tasks:
            other.cancel()
        self._tasks = []  # the next wait begins anew

    # Waiting for tasks

    def _watch(self, task_id: str) -> "asyncio.Future[Task | None]":
        self._start()
        future: asyncio.Future[Task | None] = asyncio.get_running_loop().create_future()
        waiters = self._waiters.setdefault(task_id, set())
        waiters.add(future)
        channel = self._keys.done(task_id)
        self._task_of[channel] = task_id
        if channel not in self._wanted:
            self._wanted.add(channel)
            self._change((channel,))
        elif channel not in self._changed:
            self._needs_reading(task_id)  # subscribed for somebody else before
        return future

    def _unwatch(self, task_id: str, future: "asyncio.Future[Task | None]") -> None:
        if future.done() and not future.cancelled():
            future.exception()  # seen, whether or not somebody awaited it
        future.cancel()
        waiters = self._waiters.get(task_id)
        if waiters is None:
            return
        waiters.discard(future)
        if not waiters:
            channel = self._keys.done(task_id)
            del self._waiters[task_id]
            del self._task_of[channel]
            self._unread.discard(task_id)
            self._wanted.discard(channel)
            self._change((channel,))

    def _needs_reading(self, task_id: str) -> None:
        if task_id in self._waiters:
            self._unread.add(task_id)
            self._reader_wakes.set()

    async def _keep_reading(self) -> None:
        """Read tasks that may have ended, and resolve those who wait for them."""
        while self._running:
            try:
                async with asyncio.timeout(REREAD_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311
                    await self._reader_wakes.wait()
            except TimeoutError:
                self._unread |= self._waiters.keys()
            self._reader_wakes.clear()
            ids, self._unread = list(self._unread), set()
            if not ids:
                continue
            try:
                watched = await self._read_each(ids)
            except StoreUnavailableError:
                self._unread.update(task_id for task_id in ids if task_id in self._waiters)
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311
                self._reader_wakes.set()
                continue
            for task_id, (task, seconds) in watched.items():
                if task is None or task.state.terminal:
                    self._resolve(task_id, task)
                elif seconds is not None:
                    asyncio.get_running_loop().call_later(seconds, self._needs_reading, task_id)

    async def _read_each(self, ids: list[str]) -> dict[str, Watched]:
        """Read tasks together; when one cannot be read, one by one: only those who wait for it are told."""
        try:
            return dict(zip(ids, await self._read(ids), strict=True))
        except StoreUnavailableError:
            raise
        except Exception as error:
            if len(ids) == 1:
                self._fail(ids, error)
                return {}
        watched: dict[str, Watched] = {}
        for task_id in ids:
            watched |= await self._read_each([task_id])
        return watched

    def _resolve(self, task_id: str, task: Task | None) -> None:
        for future in self._waiters.get(task_id, ()):
            if not future.done():
                future.set_result(task)

    def _fail(self, task_ids: Iterable[str], error: BaseException) -> None:
        for task_id in task_ids:
            for future in self._waiters.get(task_id, ()):
                if not future.done():
                    future.set_exception(error)

    def _fail_all(self, error: BaseException) -> None:
        self._fail(self._waiters, error)
        for future in self._work_waiters:
            if not future.done():
                future.set_exception(error)

    # The connection

    def _change(self, channels: Iterable[str]) -> None:
        self._changed.update(channels)
        self._sender_wakes.set()

    async def _keep_subscribed(self) -> None:
        """Send what changed in the wanted channels, in few commands."""
        while self._running:
            await self._sender_wakes.wait()
            self._sender_wakes.clear()
            if self._pubsub is None:
                continue  # all wanted channels are subscribed to when the connection is made
            changed, self._changed = self._changed, set()
            with contextlib.suppress(*_LOST):  # the reader of the connection notices, and makes it anew
                await _in_chunks(self._pubsub.subscribe, changed & self._wanted)
                await _in_chunks(self._pubsub.unsubscribe, changed - self._wanted)

    async def _keep_connected(self) -> None:
        """Hold the connection, and make it anew when it breaks, with growing pauses."""
        pause = 0.0
        while self._running:
            pubsub = self._client.pubsub()
            try:
                await pubsub.connect()  # type: ignore[no-untyped-call]
                pause = 0.0
                self._work_channels_ready.clear()
                self._changed.clear()
                wanted = set(self._wanted)
                self._pubsub = pubsub
                await _in_chunks(pubsub.subscribe, wanted)
                self._sender_wakes.set()
                await self._hear(pubsub)
            except _LOST:
                pause = min(LONGEST_PAUSE, pause * 2 or 0.05)
            finally:
                self._pubsub = None
                with contextlib.suppress(*_LOST):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311

    async def _hear(self, pubsub: PubSub) -> None:
        silent = False
        while self._running:
            message = await pubsub.get_message(timeout=SILENCE_SECONDS)
            if message is not None:
                silent = False
                self._on_message(message["type"], message["channel"])
            elif silent:
                raise exceptions.ConnectionError("the connection is half-open: no answer to a ping")
            else:
                silent = True
                await pubsub.ping()

    def _on_message(self, kind: str, raw_channel: bytes | str | None) -> None:
        if kind not in {"subscribe", "message"} or raw_channel is None:
            return
        channel = raw_channel.decode() if isinstance(raw_channel, bytes) else raw_channel
        if channel in self._work:
            self._work_channels_ready.add(channel)
            self._work_heard += 1
            for future in self._work_waiters:
                if not future.done():
                    future.set_result(None)
        elif (task_id := self._task_of.get(channel)) is not None:
            self._needs_reading(task_id)


async def _in_chunks(send: Callable[..., Any], channels: Iterable[str]) -> None:
    names = list(channels)
    for start in range(0, len(names), CHANNELS_PER_COMMAND):
        await cast("Awaitable[Any]", send(*names[start : start + CHANNELS_PER_COMMAND]))


def _closed() -> StoreClosedError:
    return StoreClosedError("the store was closed; make a new one to wait again")
