"""Methods made from operation builders, which hold the signature, the docstring and the types.

``claim = method(claim.claim)`` makes a blocking method, ``async_method`` one for asyncio. The builder's first
parameter is what the object works on, its `_target`: the namespace, or one auction or ballot. The others are
the parameters of the method.
"""

import functools
import inspect
import types
import typing
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from converge_redis.core.operation import Call, Emit, Stream
from converge_redis.notifications.near_entries import NearEntries, NearEntry
from converge_redis.observability.metrics import CoordinationMetrics, measured

P = ParamSpec("P")
T = TypeVar("T")
NearBuilder = Callable[..., Call[Any]]
Finder = Callable[[Any, NearEntries, str, tuple[Any, ...]], NearEntry | None]

if TYPE_CHECKING:
    # Jedi does not resolve these aliases. It follows the calls to the builder instead, and finds the method's
    # parameters and docstring there; type checkers resolve them.
    from typing_extensions import TypeAliasType

    Builder = TypeAliasType("Builder", Callable[Concatenate[Any, P], Call[T]], type_params=(P, T))
    StreamBuilder = TypeAliasType(
        "StreamBuilder", Callable[Concatenate[Any, P], Stream[T]], type_params=(P, T)
    )
    Method = TypeAliasType("Method", Callable[Concatenate[Any, P], T], type_params=(P, T))
    AsyncMethod = TypeAliasType(
        "AsyncMethod", Callable[Concatenate[Any, P], Coroutine[Any, Any, T]], type_params=(P, T)
    )
    Anything = TypeAliasType("Anything", Any)
    M = TypeVar("M")
    SameType = TypeAliasType("SameType", M, type_params=(M,))


class BlockingStore(typing.Protocol):
    """What blocking methods need of a store."""

    @property
    def _near_entries(self) -> NearEntries | None: ...

    def _run(self, call: Call[T]) -> T: ...

    async def _run_in_background(self, call: Call[T]) -> T: ...

    def _iterate(self, stream: Stream[T]) -> Iterator[T]: ...


class AsyncStore(typing.Protocol):
    """What methods for asyncio need of a store."""

    @property
    def _near_entries(self) -> NearEntries | None: ...

    async def _run(self, call: Call[T]) -> T: ...

    def _iterate(self, stream: Stream[T]) -> AsyncIterator[T]: ...


class _HasMethods:
    """Base of the classes whose methods are made here: names each method after its class and attribute."""

    _target: Any
    _metrics: CoordinationMetrics | None = None

    def __init_subclass__(cls) -> None:
        for name, value in vars(cls).items():
            if getattr(value, "_is_made_from_builder", False):
                value.__name__ = name
                value.__qualname__ = f"{cls.__qualname__}.{name}"
                value.__module__ = cls.__module__


class Blocking(_HasMethods):
    """Base of the classes with blocking methods."""

    _store: BlockingStore


class Asynchronous(_HasMethods):
    """Base of the classes with methods for asyncio."""

    _store: AsyncStore


def method(builder: "Builder[P, T]") -> "Method[P, T]":
    """Make a blocking method of an operation builder."""
    name = builder.__name__

    def call(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        store, metrics = self._store, self._metrics
        if metrics is None:
            return store._run(builder(self._target, *args, **kwargs))
        with measured(metrics, name) as measurement:
            result = store._run(builder(self._target, *args, **kwargs))
            measurement.returned(result)
        return result

    return _signed(call, builder)


def async_method(builder: "Builder[P, T]") -> "AsyncMethod[P, T]":
    """Make a method for asyncio of an operation builder."""
    name = builder.__name__

    async def call(self: Asynchronous, /, *args: P.args, **kwargs: P.kwargs) -> T:
        store, metrics = self._store, self._metrics
        if metrics is None:
            return await store._run(builder(self._target, *args, **kwargs))
        with measured(metrics, name) as measurement:
            result = await store._run(builder(self._target, *args, **kwargs))
            measurement.returned(result)
        return result

    return _signed(call, builder)


def _find_by_argument(
    _target: Any, entries: NearEntries, name: str, args: tuple[Any, ...]
) -> NearEntry | None:
    return entries.find((name, args[0])) if len(args) == 1 and isinstance(args[0], str) else None


def near_cached_method(
    builder: "Builder[P, T]", near_builder: NearBuilder, find: Finder = _find_by_argument
) -> "Method[P, T]":
    """Make a blocking method that reads one object, from the near cache if it is there.

    Args:
        builder: The builder for a store without a near cache.
        near_builder: The builder of a read whose result is stored in the near cache.
        find: Finds the entry for the target, the name and the arguments of the method.
    """
    name = builder.__name__
    uncached: Any = method(builder)

    def call(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T
        if (entries := self._store._near_entries) is None:
            result = uncached(self, *args, **kwargs)
        elif (entry := find(self._target, entries, name, args)) is not None:
            result = _near_hit(self._metrics, name, entry)
        else:
            with measured(self._metrics, name) as measurement:
                result = self._store._run(near_builder(self._target, entries, *args, **kwargs))
                measurement.returned(result)
        return result

    return _signed(call, builder)


def async_near_cached_method(
    builder: "Builder[P, T]", near_builder: NearBuilder, find: Finder = _find_by_argument
) -> "AsyncMethod[P, T]":
    """Make a method for asyncio that reads one object; see `near_cached_method`."""
    name = builder.__name__
    uncached: Any = async_method(builder)

    async def call(self: Asynchronous, /, *args: P.args, **kwargs: P.kwargs) -> T:
        result: T
        if (entries := self._store._near_entries) is None:
            result = await uncached(self, *args, **kwargs)
        elif (entry := find(self._target, entries, name, args)) is not None:
            result = _near_hit(self._metrics, name, entry)
        else:
            with measured(self._metrics, name) as measurement:
                result = await self._store._run(near_builder(self._target, entries, *args, **kwargs))
                measurement.returned(result)
        return result

    return _signed(call, builder)


def _near_hit(metrics: CoordinationMetrics | None, name: str, entry: NearEntry) -> Any:
    if metrics is None:
        return entry.get()
    with measured(metrics, name) as measurement:
        result = entry.get()
        measurement.returned(result)
    return result


def background_method(builder: "Builder[P, T]") -> "AsyncMethod[P, T]":
    """Make a coroutine method of a blocking class: the call runs in the store's background thread."""
    name = builder.__name__

    async def call(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> T:
        with measured(self._metrics, name) as measurement:
            result = await self._store._run_in_background(builder(self._target, *args, **kwargs))
            measurement.returned(result)
        return result

    return _signed(call, builder)


def stream_method(builder: "StreamBuilder[P, T]") -> "Method[P, Iterator[T]]":
    """Make a blocking method that returns an iterator, of a builder of a stream."""

    def call(self: Blocking, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        return self._store._iterate(builder(self._target, *args, **kwargs))

    return _signed(call, builder, Iterator[_emitted_type(builder)])  # type: ignore[misc]


def async_stream_method(builder: "StreamBuilder[P, T]") -> "Method[P, AsyncIterator[T]]":
    """Make a method for asyncio that returns an asynchronous iterator, of a builder of a stream."""

    def call(self: Asynchronous, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[T]:
        return self._store._iterate(builder(self._target, *args, **kwargs))

    return _signed(call, builder, AsyncIterator[_emitted_type(builder)])  # type: ignore[misc]


def _result_type(builder: Callable[..., Any]) -> Any:
    """Return T of the ``Operation[T]``, ``Procedure[T]`` or ``Call[T]`` that a builder returns."""
    returned = _returned_type(builder)
    if typing.get_origin(returned) in {typing.Union, types.UnionType}:
        returned = typing.get_args(returned)[0]
    return typing.get_args(returned)[-1]


def _returned_type(builder: Callable[..., Any]) -> Any:
    """Return the annotation of what a builder returns; resolving all annotations would be slow at import."""
    returned = builder.__annotations__["return"]
    return typing.get_type_hints(builder)["return"] if isinstance(returned, str) else returned


def _emitted_type(builder: Callable[..., Any]) -> Any:
    """Return T of the ``Stream[T]`` that a builder returns."""
    yielded = typing.get_args(_returned_type(builder))[0]
    (emit,) = [part for part in typing.get_args(yielded) if typing.get_origin(part) is Emit]
    return typing.get_args(emit)[0]


def _signed(call: "SameType[M]", builder: "Anything", returned: "Anything" = None) -> "SameType[M]":
    """Give a method the name, docstring and signature of its builder, and the type that it returns itself."""
    if TYPE_CHECKING:
        return builder  # type: ignore[no-any-return] # where Jedi finds the parameters and the docstring
    else:  # noqa: RET505 - for type checkers there is nothing after the return
        functools.update_wrapper(call, builder)
        del call.__wrapped__  # inspect.signature would follow it to the builder
        signature = inspect.signature(builder)
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        parameters = [own, *list(signature.parameters.values())[1:]]
        returned = returned or _result_type(builder)
        call.__signature__ = signature.replace(parameters=parameters, return_annotation=returned)
        call.__annotations__ = {**{p.name: p.annotation for p in parameters[1:]}, "return": returned}
        call._is_made_from_builder = True
        return call
