"""How facades get their methods: from the operation builders, which hold signature, docstring and types.

``claim = verb(claiming.claim)`` makes a blocking method, ``averb`` one for asyncio. The builder's first
parameter, the namespace, is the store's; the others are the method's.
"""

import functools
import inspect
import typing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Give, Gives, Operation, Steps
from converge_redis.notifications.near_entries import NearCopies
from converge_redis.observability.metrics import CoordinationMetrics, measured

P = ParamSpec("P")
T = TypeVar("T")
Work = Operation[T] | Steps[T]
Builder = Callable[Concatenate[Any, P], Work[T]]  # first a namespace, or one that holds more


class Runner(typing.Protocol):
    """What blocking verbs need of a store."""

    namespace: Namespace

    @property
    def near(self) -> NearCopies | None:
        """The copies that are kept of what was read."""
        ...

    def run(self, work: Work[T]) -> T:
        """Carry out an operation, or the steps of a verb."""
        ...

    async def run_in_background(self, work: Work[T]) -> T:
        """Carry it out in the store's background thread, for a coroutine that waits for it."""
        ...


class AsyncRunner(typing.Protocol):
    """What verbs on asyncio need of a store."""

    namespace: Namespace

    @property
    def near(self) -> NearCopies | None:
        """The copies that are kept of what was read in this event loop."""
        ...

    async def run(self, work: Work[T]) -> T:
        """Carry out an operation, or the steps of a verb."""
        ...


class Iterating(typing.Protocol):
    """What blocking verbs with many results need of a store."""

    def iterate(self, work: Gives[T]) -> Iterator[T]:
        """Carry out the steps of a verb that gives many results."""
        ...


class AsyncIterating(typing.Protocol):
    """What verbs with many results on asyncio need of a store."""

    def iterate(self, work: Gives[T]) -> AsyncIterator[T]:
        """Carry out the steps of a verb that gives many results."""
        ...


class Facade:
    """Base of the blocking managers: a store, and where to report measurements."""

    _store: Runner
    _metrics: CoordinationMetrics | None = None


class AsyncFacade:
    """Base of the managers on asyncio: a store, and where to report measurements."""

    _store: AsyncRunner
    _metrics: CoordinationMetrics | None = None


def verb(builder: Builder[P, T]) -> Callable[Concatenate[Any, P], T]:
    """Make a blocking method of an operation builder."""
    name = builder.__name__

    def method(self: Facade, /, *args: P.args, **kwargs: P.kwargs) -> T:
        store, metrics = self._store, self._metrics
        if metrics is None:
            return store.run(builder(store.namespace, *args, **kwargs))
        with measured(metrics, name) as call:
            result = store.run(builder(store.namespace, *args, **kwargs))
            call.returned(result)
        return result

    return _dressed(method, builder)


def averb(
    builder: Builder[P, T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Make a method for asyncio of an operation builder."""
    name = builder.__name__

    async def method(self: AsyncFacade, /, *args: P.args, **kwargs: P.kwargs) -> T:
        store, metrics = self._store, self._metrics
        if metrics is None:
            return await store.run(builder(store.namespace, *args, **kwargs))
        with measured(metrics, name) as call:
            result = await store.run(builder(store.namespace, *args, **kwargs))
            call.returned(result)
        return result

    return _dressed(method, builder)


def near_verb(builder: Callable[[Any, str], Steps[T]]) -> Callable[[Any, str], T]:
    """Make a blocking method of a builder that reads one thing: a copy of it is returned if there is one."""
    name = builder.__name__
    plain = verb(builder)

    def method(self: Facade, /, *args: Any, **kwargs: Any) -> T:
        copies = self._store.near
        if copies is None or len(args) != 1 or not isinstance(args[0], str):
            return plain(self, *args, **kwargs)
        copy = copies.find((name, args[0]))
        if copy is None:
            return plain(self, *args)
        if self._metrics is not None:
            with measured(self._metrics, name) as call:
                call.returned(None if (found := copy.get()) is None else [found])
            return cast("T", found)
        return cast("T", copy.get())

    return _dressed(method, builder)


def near_averb(builder: Callable[[Any, str], Steps[T]]) -> Callable[[Any, str], Coroutine[Any, Any, T]]:
    """Make a method for asyncio of a builder that reads one thing; see `near_verb`."""
    name = builder.__name__
    plain = averb(builder)

    async def method(self: AsyncFacade, /, *args: Any, **kwargs: Any) -> T:
        copies = self._store.near
        if copies is None or len(args) != 1 or not isinstance(args[0], str):
            return await plain(self, *args, **kwargs)
        copy = copies.find((name, args[0]))
        if copy is None:
            return await plain(self, *args)
        if self._metrics is not None:
            with measured(self._metrics, name) as call:
                call.returned(None if (found := copy.get()) is None else [found])
            return cast("T", found)
        return cast("T", copy.get())

    return _dressed(method, builder)


def background_verb(
    builder: Builder[P, T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Make a coroutine method of a blocking facade: the work runs in the store's background thread."""
    name = builder.__name__

    async def method(self: Facade, /, *args: P.args, **kwargs: P.kwargs) -> T:
        store = self._store
        with measured(self._metrics, name) as call:
            result = await store.run_in_background(builder(store.namespace, *args, **kwargs))
            call.returned(result)
        return result

    return _dressed(method, builder)


def iterating_verb(
    builder: Callable[Concatenate[Namespace, P], Gives[T]],
) -> Callable[Concatenate[Any, P], Iterator[T]]:
    """Make a blocking method of a builder whose verb gives many results."""

    def method(self: Facade, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        store = typing.cast("Iterating", self._store)
        return store.iterate(builder(self._store.namespace, *args, **kwargs))

    return _dressed(method, builder, Iterator[_given(builder)])  # type: ignore[misc]


def iterating_averb(
    builder: Callable[Concatenate[Namespace, P], Gives[T]],
) -> Callable[Concatenate[Any, P], AsyncIterator[T]]:
    """Make a method for asyncio of a builder whose verb gives many results."""

    def method(self: AsyncFacade, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        store = typing.cast("AsyncIterating", self._store)
        return store.iterate(builder(self._store.namespace, *args, **kwargs))

    return _dressed(method, builder, AsyncIterator[_given(builder)])  # type: ignore[misc]


def _given(builder: Callable[..., Any]) -> Any:
    """What a builder of many results gives: T of ``Gives[T]``."""
    yielded = typing.get_args(typing.get_type_hints(builder)["return"])[0]
    (given,) = [part for part in typing.get_args(yielded) if typing.get_origin(part) is Give]
    return typing.get_args(given)[0]


M = TypeVar("M", bound=Callable[..., Any])


def _dressed(method: M, builder: Callable[..., Any], returned: Any = None) -> M:
    """Give a method the builder's name, docstring and signature, with what it really returns."""
    functools.update_wrapper(method, builder)
    del method.__wrapped__  # type: ignore[attr-defined] # signature() would follow it to the builder
    signature = inspect.signature(builder)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [own, *list(signature.parameters.values())[1:]]
    returned = returned or typing.get_args(typing.get_type_hints(builder)["return"])[-1]
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=returned
    )
    method.__annotations__ = {
        **{p.name: p.annotation for p in parameters[1:]},
        "return": returned,
    }
    return method
