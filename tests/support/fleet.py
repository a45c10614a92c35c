"""A fleet: blocking or asyncio managers on one server, and access to what they store."""

import asyncio
import functools
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar, cast

import redis

from converge_redis import AsyncRedisStore, AsyncTaskManager, RedisStore, Task, TaskManager
from converge_redis.core.keys import Keys
from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation, Procedure
from tests.support.backends import Backend
from tests.support.records import edited, fields_of

Style = Literal["sync", "async"]
T = TypeVar("T")


_threads = ThreadPoolExecutor(64, "blocking")
"""For blocking calls; asyncio's own pool has six threads on two cores, too few for many waiting calls."""


async def in_thread(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(
        _threads, functools.partial(call, *args, **kwargs)
    )


class InThreads:
    """Makes a blocking object awaitable: each method runs in a thread."""

    def __init__(self, blocking: Any) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._blocking, name)
        if inspect.iscoroutinefunction(found) or not callable(found):
            return found
        return functools.partial(in_thread, found)


class Fleet:
    """Stores and managers of one style on one server; closed together when the test ends.

    Attributes:
        raw: A plain client of the same server, to read and to corrupt what is stored.
        is_intact: False: the test has corrupted what is stored, so it is not checked when the test ends.
        namespaces: The namespaces of the stores made so far, by name.
    """

    def __init__(self, backend: Backend, style: Style) -> None:
        self.backend = backend
        self.style = style
        self.raw: redis.Redis = backend.client()
        self.is_intact = True
        self.namespaces: dict[str, Namespace] = {}
        self._stores: list[RedisStore | AsyncRedisStore] = []

    def store(self, namespace: str = "test", shards: int = 1, **options: Any) -> AsyncRedisStore:
        """Make a store; a blocking one has awaitable methods."""
        if self.style == "sync":
            blocking = self.backend.store(namespace, shards, **options)
            self._register(blocking)
            return cast("AsyncRedisStore", InThreads(blocking))
        store = self.backend.async_store(namespace, shards, **options)
        self._register(store)
        return store

    def manager(
        self, namespace: str = "test", shards: int = 1, metrics: Any = None, **options: Any
    ) -> AsyncTaskManager:
        """Make a manager with its own store, as another process would have."""
        if self.style == "sync":
            blocking = self.backend.store(namespace, shards, **options)
            self._register(blocking)
            return cast("AsyncTaskManager", InThreads(TaskManager(blocking, metrics)))
        store = self.backend.async_store(namespace, shards, **options)
        self._register(store)
        return AsyncTaskManager(store, metrics)

    def protocol(
        self, blocking: Callable[..., Any], on_asyncio: Callable[..., T], *args: Any, **options: Any
    ) -> T:
        """Make a protocol, a pool manager, or another object on a store of its own.

        Args:
            blocking: Its class for blocking code; the methods of the object are awaitable.
            on_asyncio: Its class for asyncio.
            args: Arguments of the class before the store.
            options: Keyword arguments of the class; ``namespace`` and ``shards`` are the store's.
        """
        where = (options.pop("namespace", "test"), options.pop("shards", 1))
        store = self.backend.store(*where) if self.style == "sync" else self.backend.async_store(*where)
        self._register(store)
        if self.style == "sync":
            return cast("T", InThreads(blocking(*args, store=store, **options)))
        return on_asyncio(*args, store=store, **options)

    def _register(self, store: RedisStore | AsyncRedisStore) -> None:
        self._stores.append(store)
        self.namespaces.setdefault(store._namespace.name, store._namespace)

    async def run(self, manager: AsyncTaskManager, call: Operation[Any] | Procedure[Any]) -> Any:
        """Execute an operation or a procedure on a manager's store."""
        if self.style == "sync":
            blocking = cast("RedisStore", manager.store)
            return await in_thread(blocking._run, call)
        return await manager.store._run(call)

    async def close_store(self, manager: AsyncTaskManager) -> None:
        if self.style == "sync":
            await in_thread(cast("RedisStore", manager.store).close)
        else:
            await manager.store.aclose()

    async def close(self) -> None:
        for store in self._stores:
            if isinstance(store, RedisStore):
                await in_thread(store.close)
            else:
                await store.aclose()
        for client in self.backend.async_clients:
            await client.aclose()

    # Time passes

    def past(self, task: Task | str, *fields: str, namespace: str = "test") -> None:
        """Set the named times of a task to the past, in its record and in the indexes."""
        task_id = task if isinstance(task, str) else task.id
        keys = self.namespaces[namespace].keys
        named = names_of(keys, task_id)
        indexes = {"lease": "leases", "due": "delayed", "deadline": "deadlines"}
        stored: Any = self.raw.get(named["task"])
        known = fields_of(stored)
        with self.raw.pipeline(
            transaction=True
        ) as together:  # a script in between would see half of the change
            for field in fields:
                if field == "retention":
                    kept = int(known.get("retention", 86400 * 1000000))
                    stored = edited(stored, finished=str(1 - kept))
                    together.zadd(named["finished"], {task_id: 1}, xx=True)
                else:
                    assert field in known, f"{task_id} has no {field}"
                    stored = edited(stored, **{field: "1"})
                    together.zadd(named[indexes[field]], {task_id: 1}, xx=True)
            together.set(named["task"], stored)
            together.execute()

    def edit(self, task_id: str, namespace: str = "test", **fields: str) -> None:
        """Overwrite fields of a task's record, without the indexes."""
        key = names_of(self.namespaces[namespace].keys, task_id)["task"]
        stored: Any = self.raw.get(key)
        self.raw.set(key, edited(stored, **fields))


def first_operation(call: Operation[T] | Procedure[T]) -> Operation[T]:
    """Return the operation itself, or the first operation of a procedure."""
    if isinstance(call, Operation):
        return call
    first = next(call)
    assert isinstance(first, Operation)
    return first


def names_of(keys: Keys, task_id: str) -> dict[str, str]:
    """Return the keys of a task and its shard by short names: ``task``, ``spec``, ``leases``, ``lane``, …"""
    named: dict[str, str] = {}
    for short, key in keys.shard_names(keys.shard_of(task_id)).items():
        if short in {"t:", "spec:", "result:", "watchers:"}:
            named["task" if short == "t:" else short[:-1]] = key + task_id
        else:
            named[short.rstrip(":")] = key
    return named
