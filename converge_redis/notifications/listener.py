"""The listener: receives the server's messages of one event loop and routes them to its parts."""

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypeVar

import redis.asyncio

from converge_redis.core.ids import call_id
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Call, Operation
from converge_redis.errors import ConvergeError, StoreClosedError, StoreUnavailableError
from converge_redis.notifications.near_entries import NearEntries
from converge_redis.notifications.subscription import Subscription, Tracking

T = TypeVar("T")
P = TypeVar("P", bound="ListenerPart")
Loop = Callable[[], Coroutine[Any, Any, None]]

UNREGISTER_TIMEOUT = 2.0
"""The most seconds that a listener takes to remove its registrations from the server when it closes."""


class Run(Protocol):
    """How a listener executes work on the server."""

    async def __call__(self, call: Call[T]) -> T:
        """Execute an operation, a command or a procedure."""
        ...


class ListenerPart:
    """What one feature does on the listener; made by `Listener.part` at the first use of the feature.

    Attributes:
        messages: The first words of the messages that it handles, with the name of the method for each, which
            takes the shard and the rest of the message.
    """

    messages: ClassVar[Mapping[bytes, str]] = {}

    def __init__(self, listener: "Listener") -> None:
        """Make the part; may be called from any thread."""

    def loops(self) -> Sequence[Loop]:
        """Return coroutine functions that run for as long as the listener does."""
        return ()

    def on_subscribed(self) -> None:
        """Called when the channels are subscribed, and again after each reconnect: messages may be lost."""

    def fail_all(self, error: BaseException) -> None:
        """End all waiting calls with an error."""

    async def unregister(self) -> None:
        """Remove what the server knows of this listener; called once, when it closes."""


class Listener:
    """The subscribed connection of one store in one event loop, shared by all calls that wait.

    Args:
        client: The client whose settings the connection is made with.
        namespace: The namespace.
        run: Executes work on the server.
        drained: Waits until the calls in flight have their replies.
        near: The near cache to invalidate when keys change; None: it is off.

    Attributes:
        id: The id under which it is registered on the server.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        namespace: Namespace,
        run: Run,
        drained: Callable[[], Awaitable[None]],
        near: NearEntries | None = None,
    ) -> None:
        self.id = call_id()
        self.namespace = namespace
        self.run = run
        self.drained = drained
        channels = [namespace.keys.channel(shard, self.id) for shard in range(namespace.shards + 1)]
        tracking = None if near is None else Tracking(near, namespace.keys.tracked())
        self._subscription = Subscription(client, channels, self._on_subscribed, self._on_message, tracking)
        self._parts: dict[type[ListenerPart], ListenerPart] = {}
        self._handlers: dict[bytes, Callable[[int, bytes], None]] = {}
        self._parts_lock = threading.RLock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._started = set[ListenerPart]()  # the parts whose loops are among the tasks
        self._detached = set[asyncio.Task[None]]()
        self._is_closed = False

    @property
    def is_subscribed(self) -> bool:
        """Whether messages are received now."""
        return self._subscription.is_subscribed

    @property
    def is_running(self) -> bool:
        """Whether it was started, and has not ended."""
        return bool(self._tasks)

    def part(self, kind: type[P]) -> P:
        """Return the listener's part of a kind, made at its first use; from any thread.

        Raises:
            StoreClosedError: The listener was closed.
        """
        found = self._parts.get(kind)
        if found is None or self._is_closed:
            found = self._make_part(kind)
        assert isinstance(found, kind)  # noqa: S101 - for the type checker
        return found

    def _make_part(self, kind: type[P]) -> ListenerPart:
        with self._parts_lock:
            if self._is_closed:
                raise StoreClosedError
            part = self._parts.get(kind)
            if part is None:
                part = kind(self)
                self._handlers |= {word: getattr(part, name) for word, name in part.messages.items()}
                self._parts = {**self._parts, kind: part}
                self.call_soon(self._start_loops, part)
            return part

    def call_soon(self, callback: Callable[..., object], *args: Any) -> None:
        """Call a function in the event loop of the started listener, from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the event loop was closed
                self._loop.call_soon_threadsafe(callback, *args)

    def start(self) -> None:
        """Subscribe, and run the loops of the parts; in the event loop.

        Raises:
            StoreClosedError: The listener was closed.
        """
        if self._is_closed:
            raise StoreClosedError
        if not self._tasks:
            with self._parts_lock:
                self._loop = asyncio.get_running_loop()
                parts = list(self._parts.values())
            self._subscription.is_stopped = False
            self._run_loop(self._subscription.run)
            for part in parts:
                self._start_loops(part)

    def _start_loops(self, part: ListenerPart) -> None:
        if self._tasks and not self._is_closed and part not in self._started:
            self._started.add(part)
            for loop in part.loops():
                self._run_loop(loop)

    def _run_loop(self, loop: Loop) -> None:
        task = asyncio.get_running_loop().create_task(loop())
        self._tasks.append(task)
        task.add_done_callback(self._on_loop_ended)

    def _on_loop_ended(self, task: "asyncio.Task[None]") -> None:
        """Fail all waiting calls when a loop ended with an error that it cannot survive."""
        error = None if task.cancelled() else task.exception()
        if self._is_closed or task not in self._tasks:
            return
        tasks, self._tasks = self._tasks, []  # the next call that waits starts them anew
        self._started.clear()
        self._subscription.is_stopped = True
        for other in tasks:
            other.cancel()
        self._fail_all(error or StoreUnavailableError("the listener was cancelled from outside; wait again"))

    def _fail_all(self, error: BaseException) -> None:
        for part in list(self._parts.values()):
            part.fail_all(error)

    async def aclose(self) -> None:
        """End all waiting calls with `StoreClosedError`, and remove all registrations from the server."""
        self._is_closed = self._subscription.is_stopped = True
        for task in self._tasks:
            task.cancel()
        self._fail_all(StoreClosedError("the store was closed; make a new one to wait again"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._tasks:
            with contextlib.suppress(ConvergeError, TimeoutError):
                async with asyncio.timeout(UNREGISTER_TIMEOUT):
                    await asyncio.gather(*self._detached, return_exceptions=True)
                    for part in list(self._parts.values()):
                        await part.unregister()

    def run_detached(self, operation: Operation[None]) -> None:
        """Execute an operation after all calls in flight; no caller awaits it. Call it in the event loop."""
        task = asyncio.get_running_loop().create_task(self._run_detached(operation))
        self._detached.add(task)
        task.add_done_callback(self._detached.discard)

    async def _run_detached(self, operation: Operation[None]) -> None:
        await self.drained()
        with contextlib.suppress(ConvergeError):
            await self.run(operation)

    def _on_subscribed(self) -> None:
        for part in list(self._parts.values()):
            part.on_subscribed()

    def _on_message(self, shard: int, message: bytes) -> None:
        word, _, rest = message.partition(b" ")
        handle = self._handlers.get(word)
        if handle is not None:
            handle(shard, rest)
