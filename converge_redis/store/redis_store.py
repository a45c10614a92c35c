"""The blocking store: a connection, a namespace, and values by key."""

import asyncio
import contextlib
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar

import redis
from redis.exceptions import ResponseError

from converge_redis.core.namespace import DEFAULT_PAYLOAD_LIMIT, Namespace
from converge_redis.core.operation import Compute, Computed, Give, Gives, Join, Listen, Near, Operation, Steps
from converge_redis.errors import ConfigurationError, EmbeddedServerError, InvalidTypeError
from converge_redis.notifications.listener import Listener
from converge_redis.notifications.near_cache import NearCache, NearStatistics, check_near_cache
from converge_redis.notifications.near_entries import NearCopies
from converge_redis.server.embedded import embedded_server
from converge_redis.store import values
from converge_redis.store.async_runner import LoopRunner, closed
from converge_redis.store.background_loop import BackgroundLoop
from converge_redis.store.methods import Facade, near_verb, verb
from converge_redis.store.open_namespace import open_namespace
from converge_redis.tasks.constraints import DEFAULT_RETENTION_SEC
from converge_redis.transport.blocking_pool import BlockingCalls
from converge_redis.transport.clients import (
    async_client,
    async_twin,
    blocking_client,
    calls_at_once,
    check_client,
)
from converge_redis.transport.delivery import Alone, Batch, Pause, Requests, first_command, requests

T = TypeVar("T")


class RedisStore(Facade):
    """Connection and namespace of a fleet, for blocking code; also a key-value store of its own.

    Safe to share between threads. Use it as a context manager, or call `close`.

    Args:
        client: A ``redis.Redis`` client without ``decode_responses``. It stays the caller's to close.
        namespace: The prefix of all keys.
        shards: Over how many hash slots tasks spread; the same for all stores of a namespace. With one, the
            order of priority is strict over all tasks.
        payload_limit: The largest payload, in bytes once encoded.
        claim_ttl_sec: The lease of tasks that set none, in seconds; None: their claims do not expire.
        retention_sec: How long finished tasks that do not say are kept, in seconds.
        max_finished: The most finished tasks to keep, whatever their retention: those go first whose
            retention ends first. None: no limit.
        types: The pydantic models and dataclasses whose instances stored values may hold, known by their
            ``__qualname__``; or, as a mapping, by the names to store.
        compress_above: The bytes above which a stored value is compressed with zstd, which needs the extra
            ``converge-redis[compression]``; None: none is.
        near_cache: Keep copies of what was read; see `NearCache`. None: every read asks the server.

    Raises:
        ConfigurationError: The client cannot be used.
        InvalidTypeError, InvalidValueError: Another argument is malformed.
    """

    def __init__(
        self,
        client: redis.Redis,
        namespace: str = "converge",
        shards: int = 1,
        *,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        claim_ttl_sec: float | None = None,
        retention_sec: float = DEFAULT_RETENTION_SEC,
        max_finished: int | None = None,
        types: Iterable[type] | Mapping[str, type] = (),
        compress_above: int | None = None,
        near_cache: NearCache | None = None,
    ) -> None:
        check_client(client)
        self.namespace = Namespace(
            namespace,
            shards,
            payload_limit,
            claim_ttl_sec,
            retention_sec,
            max_finished,
            types,
            compress_above,
        )
        self._store = self
        self._near_cache = check_near_cache(near_cache)
        self._client = client
        self._owns_client = False
        self.new_async_client: Callable[[], Any] = lambda: async_twin(client)
        self._open = False
        self._closed = False
        self._background: tuple[BackgroundLoop, LoopRunner] | None = None
        self._lock = threading.Lock()
        self._calls = BlockingCalls(client)

    @classmethod
    def from_url(
        cls,
        url: str,
        namespace: str = "converge",
        shards: int = 1,
        *,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        claim_ttl_sec: float | None = None,
        retention_sec: float = DEFAULT_RETENTION_SEC,
        max_finished: int | None = None,
        types: Iterable[type] | Mapping[str, type] = (),
        compress_above: int | None = None,
        near_cache: NearCache | None = None,
        **options: Any,
    ) -> Self:
        """Make a store for a server; the connection is made at the first call, or by `open`.

        Args:
            url: ``redis://``, ``rediss://`` (TLS), ``unix://`` or their ``valkey`` forms, as in redis-py.
            namespace: See the class.
            shards: See the class.
            payload_limit: See the class.
            claim_ttl_sec: See the class.
            retention_sec: See the class.
            max_finished: See the class.
            types: See the class.
            compress_above: See the class.
            near_cache: See the class.
            options: More settings of redis-py's connections, such as ``socket_timeout`` or ``ssl_ca_certs``.

        Raises:
            ConfigurationError: The URL or an option is malformed.
        """
        store = cls(
            blocking_client(url, options),
            namespace,
            shards,
            payload_limit=payload_limit,
            claim_ttl_sec=claim_ttl_sec,
            retention_sec=retention_sec,
            max_finished=max_finished,
            types=types,
            compress_above=compress_above,
            near_cache=near_cache,
        )
        store._owns_client = True
        store.new_async_client = lambda: async_client(url, options)
        return store

    put = verb(values.put)
    put_many = verb(values.put_many)
    put_if_absent = verb(values.put_if_absent)
    compare_and_set = verb(values.compare_and_set)
    get = near_verb(values.get)
    get_versioned = verb(values.get_versioned)
    get_many = verb(values.get_many)
    delete = verb(values.delete)
    delete_many = verb(values.delete_many)
    list = verb(values.list_keys)
    count = verb(values.count)
    clear = verb(values.clear)

    def open(self) -> Self:
        """Connect now, and agree on the namespace; otherwise the first call does it.

        Raises:
            StoreUnavailableError: The server cannot be reached, or refuses the password.
            ConfigurationError: The namespace is in use with another number of shards.
        """
        if not self._open:
            self._check_not_closed()
            self._carry_out(requests(open_namespace(self.namespace)))
            self._open = True
        return self

    def close(self) -> None:
        """End all waits, and close the connections that the store made. A second call has no effect."""
        with self._lock:
            self._closed = self._calls.is_closed = True
            background, self._background = self._background, None
        if background is not None and background[0].pid == os.getpid():
            background[0].call(background[1].aclose())
            background[0].stop()
        if self._owns_client:
            self._client.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def near(self) -> NearCopies | None:
        """The copies that are kept of what was read; verbs use it."""
        if self._near_cache is None:
            return None
        loop, runner = self._in_background()
        if runner.copies is not None and not runner.copies.is_heard:
            loop.soon(runner.start)
        return runner.copies

    def near_statistics(self) -> NearStatistics:
        """Return what the near cache has done; all is 0 where there is none."""
        return NearStatistics() if (copies := self.near) is None else copies.statistics()

    def run(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out an operation, or the steps of a verb; managers use it."""
        if not self._open or self._closed:
            self._check_not_closed()
            self.open()
        failed: Exception | None = None
        if self._owns_client and isinstance(work, Operation):
            # The usual case without the generators that know what to do about failures.
            try:
                reply = self._calls.call(first_command(work, repeats=False))
            except Exception as error:
                failed = self._closed_or(error)
            else:
                return work.decode(reply)
        return self._carry_out(requests(work, not self._owns_client, failed))

    async def run_in_background(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out work in the background thread, while a coroutine of the caller's loop waits for it."""
        if not self._open:
            await asyncio.to_thread(self.open)
        loop, runner = self._in_background()
        try:
            return await asyncio.wrap_future(loop.submit(runner.run(work)))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise closed() from None  # the store's loop was stopped; nobody cancelled the caller
            raise

    def _carry_out(self, todo: Requests[T]) -> T:
        try:
            request = next(todo)
            while True:
                try:
                    answer = self._answer(request)
                except Exception as error:
                    request = todo.throw(self._closed_or(error))
                else:
                    request = todo.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result
        finally:
            todo.close()

    def iterate(self, work: Gives[T]) -> Iterator[T]:
        """Carry out the steps of a verb that gives many results; managers use it."""
        if not self._open:
            self.open()
        todo: Requests[None] = requests(work, repeats=not self._owns_client)
        try:
            request = next(todo)
            while True:
                if isinstance(request, Give):
                    yield request.item
                try:
                    answer = self._answer(request)
                except Exception as error:
                    request = todo.throw(self._closed_or(error))
                else:
                    request = todo.send(answer)
        except StopIteration:
            return
        finally:
            todo.close()

    def _closed_or(self, error: Exception) -> Exception:
        # Closed while the request was under way, redis-py fails in many ways, but the server speaks.
        told = isinstance(error, ResponseError | TimeoutError)
        return closed() if self._closed and not told else error

    def _answer(self, request: Any) -> Any:  # noqa: PLR0911 - one for each kind
        match request:
            case tuple() | Alone():
                command = request.command if isinstance(request, Alone) else request
                if self._owns_client:
                    return self._calls.call(command)
                with self._clean_connections():
                    return self._client.execute_command(*command)  # type: ignore[no-untyped-call]
            case Batch(commands) if self._owns_client:
                return self._calls.exchange(commands)
            case Batch(commands):
                with self._clean_connections(), self._client.pipeline(transaction=False) as pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)  # type: ignore[no-untyped-call]
                    return pipeline.execute(raise_on_error=False)
            case Pause(seconds):
                return time.sleep(seconds)
            case Listen(act):
                loop, runner = self._in_background()
                return loop.call(runner.listen(act))
            case Join(visible):
                return self._in_background()[1].join(visible)
            case Near():
                return self.near
            case Compute(function):
                return _computed(function)
            case Give():
                return None
        raise AssertionError(request)

    @contextlib.contextmanager
    def _clean_connections(self) -> Iterator[None]:
        """After an interrupt, drop idle connections: redis-py keeps one whose reply was not read."""
        try:
            yield
        except Exception:
            raise
        except BaseException:
            self._client.connection_pool.disconnect(inuse_connections=False)
            raise

    def _in_background(self) -> tuple[BackgroundLoop, LoopRunner]:
        with self._lock:
            self._check_not_closed()
            if self._background is None or self._background[0].pid != os.getpid():
                runner = self.new_runner()
                loop = BackgroundLoop()
                loop.call(runner.listen(_nothing))
                self._background = (loop, runner)
            return self._background

    def new_runner(self) -> LoopRunner:
        """Make what carries work out in another event loop, with connections of its own."""
        client = self.new_async_client()
        return LoopRunner(client, True, calls_at_once(client), self.namespace, self._near_cache)

    def _check_not_closed(self) -> None:
        if self._closed:
            raise closed()


def _computed(function: Callable[[], Any]) -> Computed:
    try:
        value = function()
    except Exception as error:
        return Computed(None, error)
    if inspect.iscoroutine(value):
        value.close()
        return Computed(None, InvalidTypeError(f"{function!r} is a coroutine function: use AsyncSharedCache"))
    return Computed(value)


async def _nothing(_listener: Listener) -> None:
    """Only start to listen."""


_default: tuple[int, RedisStore] | None = None
_default_lock = threading.Lock()


def default_url() -> str:
    """Return ``CONVERGE_REDIS_URL``, else the URL of this process's embedded server.

    Raises:
        ConfigurationError: The variable is not set, and no embedded server is installed.
    """
    url = os.environ.get("CONVERGE_REDIS_URL")
    if url:
        return url
    try:
        return embedded_server().url
    except EmbeddedServerError as error:
        raise ConfigurationError(
            "no store was given: set CONVERGE_REDIS_URL to a server's URL, or install an embedded server "
            f"with pip install 'converge-redis[embedded]' ({error})"
        ) from error


def default_store() -> RedisStore:
    """Return the store of managers that are given none: one for the process, on `default_url`."""
    global _default  # noqa: PLW0603 - one for the process
    with _default_lock:
        if _default is None or _default[0] != os.getpid() or _default[1]._closed:
            _default = (os.getpid(), RedisStore.from_url(default_url()))
        return _default[1]
