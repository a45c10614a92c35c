"""The store on asyncio: a connection, a namespace, and values by key."""

import asyncio
from types import TracebackType
from typing import Any, Self, TypeVar

import redis.asyncio

from converge_redis.connection import async_client, check_client
from converge_redis.constraints import DEFAULT_RETENTION_SEC
from converge_redis.errors import StoreClosedError
from converge_redis.listener import Listener
from converge_redis.namespace import DEFAULT_PAYLOAD_LIMIT, Namespace
from converge_redis.operation import Listen, Operation, Steps
from converge_redis.operations import values
from converge_redis.operations.opening import open_namespace
from converge_redis.operations.reading import watch_tasks
from converge_redis.sending import Batch, Pause, Requests, requests
from converge_redis.verbs import AsyncFacade, averb

T = TypeVar("T")


class AsyncRedisStore(AsyncFacade):
    """Connection and namespace of a fleet, for code on asyncio; also a key-value store of its own.

    Belongs to the event loop that uses it first. Use it as an asynchronous context manager, or call `aclose`.

    Args:
        client: A ``redis.asyncio.Redis`` client without ``decode_responses``. It stays the caller's to close.
        namespace: The prefix of all keys.
        shards: Over how many hash slots tasks spread; the same for all stores of a namespace. With one, the
            order of priority is strict over all tasks.
        payload_limit: The largest payload, in bytes once encoded.
        claim_ttl_sec: The lease of tasks that set none, in seconds; None: their claims do not expire.
        retention_sec: How long finished tasks that do not say are kept, in seconds.

    Raises:
        ConfigurationError: The client cannot be used.
        InvalidTypeError, InvalidValueError: Another argument is malformed.
    """

    def __init__(
        self,
        client: "redis.asyncio.Redis",
        namespace: str = "converge",
        shards: int = 1,
        *,
        payload_limit: int = DEFAULT_PAYLOAD_LIMIT,
        claim_ttl_sec: float | None = None,
        retention_sec: float = DEFAULT_RETENTION_SEC,
    ) -> None:
        check_client(client)
        self.namespace = Namespace(namespace, shards, payload_limit, claim_ttl_sec, retention_sec)
        self._store = self
        self._client = client
        self._owns_client = False
        self._open = False
        self._closed = False
        self._listener: Listener | None = None

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
            options: More settings of redis-py's connections, such as ``max_connections`` (default 8),
                ``socket_timeout`` or ``ssl_ca_certs``.

        Raises:
            ConfigurationError: The URL or an option is malformed.
        """
        store = cls(
            async_client(url, options),
            namespace,
            shards,
            payload_limit=payload_limit,
            claim_ttl_sec=claim_ttl_sec,
            retention_sec=retention_sec,
        )
        store._owns_client = True
        return store

    @classmethod
    def twin(cls, client: "redis.asyncio.Redis", namespace: Namespace) -> Self:
        """Make the store in which a blocking store listens; it closes the client."""
        store = cls(client)
        store.namespace = namespace
        store._owns_client = True
        return store

    put = averb(values.put)
    get = averb(values.get)
    delete = averb(values.delete)
    list = averb(values.list_keys)
    put_if_absent = averb(values.put_if_absent)

    async def open(self) -> Self:
        """Connect now, and agree on the namespace; otherwise the first call does it.

        Raises:
            StoreUnavailableError: The server cannot be reached, or refuses the password.
            ConfigurationError: The namespace is in use with another number of shards.
        """
        if not self._open:
            self._check_not_closed()
            await self._carry_out(requests(open_namespace(self.namespace)))
            self._open = True
        return self

    async def aclose(self) -> None:
        """End all waits, and close the connections that the store made. A second call has no effect."""
        self._closed = True
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.aclose()
        if self._owns_client:
            await self._client.aclose()

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def run(self, work: Operation[T] | Steps[T]) -> T:
        """Carry out an operation, or the steps of a verb; managers use it."""
        if not self._open or self._closed:
            self._check_not_closed()
            await self.open()
        return await self._carry_out(requests(work, repeats=not self._owns_client))

    async def _carry_out(self, todo: Requests[T]) -> T:
        try:
            request = next(todo)
            while True:
                try:
                    answer = await self._answer(request)
                except Exception as error:
                    # Closed while the request was under way, redis-py fails in many ways.
                    request = todo.throw(_closed() if self._closed else error)
                else:
                    request = todo.send(answer)
        except StopIteration as stop:
            result: T = stop.value
            return result

    async def _answer(self, request: Any) -> Any:
        match request:
            case tuple():
                return await self._client.execute_command(*request)  # type: ignore[no-untyped-call]
            case Batch(commands):
                async with self._client.pipeline(transaction=False) as pipeline:
                    for command in commands:
                        pipeline.execute_command(*command)
                    return await pipeline.execute(raise_on_error=False)
            case Pause(seconds):
                return await asyncio.sleep(seconds)
            case Listen():
                return await self.listen(request.act)
        raise AssertionError(request)

    async def listen(self, act: Any) -> Any:
        """Have the store's listener do something; verbs that wait use it."""
        self._check_not_closed()
        if self._listener is None:
            self._listener = Listener(
                self._client, self.namespace.keys, lambda ids: self.run(watch_tasks(self.namespace, ids))
            )
        return await act(self._listener)

    def _check_not_closed(self) -> None:
        if self._closed:
            raise _closed()


def _closed() -> StoreClosedError:
    return StoreClosedError("the store was closed; make a new one")
