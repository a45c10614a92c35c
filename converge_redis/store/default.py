"""The default stores of a process, for managers that are given none."""

import os
import threading
from typing import Generic, Protocol, TypeVar

from converge_redis.errors import ConfigurationError, EmbeddedServerError
from converge_redis.store.async_redis_store import AsyncRedisStore
from converge_redis.store.redis_store import RedisStore


class _Closable(Protocol):
    @property
    def _is_closed(self) -> bool: ...


S = TypeVar("S", bound=_Closable)


def default_url() -> str:
    """Return ``CONVERGE_REDIS_URL``, else the URL of this process's embedded server.

    Raises:
        ConfigurationError: The variable is not set, and no embedded server is installed.
    """
    url = os.environ.get("CONVERGE_REDIS_URL")
    if url:
        return url
    from converge_redis.server.shared import embedded_server  # noqa: PLC0415 - most stores have a URL

    try:
        return embedded_server().url
    except EmbeddedServerError as error:
        raise ConfigurationError(
            "no store was given: set CONVERGE_REDIS_URL to a server's URL, or install an embedded server "
            f"with pip install 'converge-redis[embedded]' ({error})"
        ) from error


class _Default(Generic[S]):
    """One store per process, made anew after a fork and once it was closed."""

    def __init__(self, kind: type[S]) -> None:
        self._kind = kind
        self._found: tuple[int, str, S] | None = None
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        """Replace the lock, which another thread of the parent may have held."""
        self._lock = threading.Lock()

    def get(self) -> S:
        with self._lock:
            url = default_url()
            found = self._found
            if found is None or found[:2] != (os.getpid(), url) or found[2]._is_closed:
                made: S = self._kind.from_url(url)  # type: ignore[attr-defined]
                found = self._found = (os.getpid(), url, made)
            return found[2]


_blocking = _Default(RedisStore)
_async = _Default(AsyncRedisStore)
os.register_at_fork(after_in_child=_blocking.reset_after_fork)
os.register_at_fork(after_in_child=_async.reset_after_fork)


def default_store() -> RedisStore:
    """Return the store of blocking managers that are given none: one for the process, on `default_url`.

    Raises:
        ConfigurationError: There is neither a URL nor an embedded server.
    """
    return _blocking.get()


def default_async_store() -> AsyncRedisStore:
    """Return the store of managers on asyncio that are given none: one for the process, on `default_url`.

    Close it with ``await default_async_store().aclose()`` where its event loop ends before the process does.

    Raises:
        ConfigurationError: There is neither a URL nor an embedded server.
    """
    return _async.get()
