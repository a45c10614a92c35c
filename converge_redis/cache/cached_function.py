"""Cached functions: functions whose results are in a shared cache, made by `SharedCache.cached`."""

import functools
import hashlib
import inspect
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, cast

from converge_redis.core.codec import encode
from converge_redis.errors import InvalidTypeError, InvalidValueError

P = ParamSpec("P")
T = TypeVar("T")
KeyOf = str | Callable[..., str]
TagsOf = Iterable[str] | Callable[..., Iterable[str]]

MAX_ARGUMENT_BYTES = 1024 * 1024


class _Cache(Protocol):
    """The methods of its cache that a cached function needs."""

    @property
    def get_or_compute(self) -> Callable[..., Any]: ...

    @property
    def delete(self) -> Callable[..., Any]: ...


class _Cached(Generic[P, T]):
    """What cached functions and cached coroutine functions have in common.

    Args:
        cache: The cache.
        function: The function.
        key: A format string, or a function of the same arguments; None: derived from all arguments.
        tags: The tags, or a function of the same arguments.
        ttl: Seconds for which results are fresh.
        options: Further arguments of `get_or_compute`.

    Raises:
        InvalidTypeError: The function or the key is of the wrong kind.
        InvalidValueError: The format string names something else than an argument.
    """

    def __init__(
        self,
        cache: _Cache,
        function: Callable[P, Any],
        key: KeyOf | None,
        tags: TagsOf,
        ttl: float,
        options: dict[str, Any],
    ) -> None:
        if not callable(function):
            raise InvalidTypeError(f"only a function can be cached, not {function!r}")
        if key is not None and not isinstance(key, str) and not callable(key):
            raise InvalidTypeError(f"key must be a format string or a function, not {key!r}")
        self._cache = cache
        self._function = function
        self._key = key
        self._tags = tags
        self._ttl = ttl
        self._options = options
        self._signature = inspect.signature(function)
        functools.update_wrapper(self, function)  # type: ignore[arg-type]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}>"

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key of the result for these arguments, without the cache's prefix."""
        if callable(self._key):
            return self._key(*args, **kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        if self._key is not None:
            try:
                return str(self._key).format(**bound.arguments)
            except (KeyError, IndexError, AttributeError) as error:
                raise InvalidValueError(
                    f"key {self._key!r} names something else than an argument of {self._name}: {error!r}"
                ) from error
        try:
            stored = encode("arguments", bound.arguments, MAX_ARGUMENT_BYTES)
        except InvalidTypeError as error:
            raise InvalidTypeError(f"{self._name} needs key= to be cached: {error}") from error
        return f"{self._name}:{hashlib.sha256(stored).hexdigest()[:32]}"

    @property
    def _name(self) -> str:
        return f"{self._function.__module__}.{self._function.__qualname__}"

    def _arguments(self, args: Any, kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        tags = self._tags(*args, **kwargs) if callable(self._tags) else self._tags
        compute = functools.partial(self._function, *args, **kwargs)
        return (self.key(*args, **kwargs), compute, self._ttl), {**self._options, "tags": tags}


class CachedFunction(_Cached[P, T]):
    """A function whose results all processes share; it is called as before."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result for these arguments, computed or from the cache."""
        arguments, options = self._arguments(args, kwargs)
        return cast("T", self._cache.get_or_compute(*arguments, **options))

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Delete the result for these arguments."""
        self._cache.delete(self.key(*args, **kwargs))


class AsyncCachedFunction(_Cached[P, T]):
    """A coroutine function whose results all processes share; it is called as before."""

    def __init__(
        self,
        cache: _Cache,
        function: Callable[P, Awaitable[T]],
        key: KeyOf | None,
        tags: TagsOf,
        ttl: float,
        options: dict[str, Any],
    ) -> None:
        super().__init__(cache, function, key, tags, ttl, options)
        if hasattr(inspect, "markcoroutinefunction"):  # from Python 3.12 on
            inspect.markcoroutinefunction(self)

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result for these arguments, computed or from the cache."""
        arguments, options = self._arguments(args, kwargs)
        return cast("T", await self._cache.get_or_compute(*arguments, **options))

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> None:
        """Delete the result for these arguments."""
        await self._cache.delete(self.key(*args, **kwargs))


class Decorator(Protocol):
    """Makes a cached function of a function."""

    def __call__(self, function: Callable[P, T], /) -> CachedFunction[P, T]:
        """Decorate it."""
        ...


class AsyncDecorator(Protocol):
    """Makes a cached coroutine function of one."""

    def __call__(self, function: Callable[P, Awaitable[T]], /) -> AsyncCachedFunction[P, T]:
        """Decorate it."""
        ...
