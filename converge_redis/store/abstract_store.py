"""What the two stores have in common: their settings, and how they are made."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Generic, Self, TypeVar

from converge_redis.core.namespace import DEFAULT_PAYLOAD_LIMIT, DEFAULT_RETENTION_SEC, Namespace
from converge_redis.notifications.near_cache import NearCache, validate_near_cache
from converge_redis.transport.clients import server_name, validate_client

C = TypeVar("C", bound=Any)


class AbstractStore(ABC, Generic[C]):
    """What `RedisStore` and `AsyncRedisStore` have in common."""

    def __init__(
        self,
        client: C,
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
        """Make a store for a client of redis-py; see `from_url` for one that makes its own connections.

        Args:
            client: A client of redis-py without ``decode_responses``. The caller keeps it, and closes it.
            namespace: The prefix of all keys.
            shards: The number of hash slots over which tasks spread; the same in all stores of a namespace.
                With one shard, the order of priority is strict over all tasks.
            payload_limit: The largest payload, in bytes once encoded.
            claim_ttl_sec: The lease of tasks that set none, in seconds; None: their claims do not expire.
            retention_sec: How long finished tasks that do not set it are kept, in seconds.
            max_finished: The most finished tasks to keep, whatever their retention: those whose retention
                ends first are deleted first. None: no limit.
            types: The pydantic models and dataclasses whose instances stored values may hold, stored under
                their ``__qualname__``; or a mapping from the names to store.
            compress_above: The bytes above which a stored value is compressed with zstd, which needs the
                extra ``converge-redis[compression]``; None: none is.
            near_cache: Keep what was read in this process; see `NearCache`. None: every read goes to the
                server.

        Raises:
            ConfigurationError: The client cannot be used.
            InvalidTypeError, InvalidValueError: Another argument is malformed.
        """
        validate_client(client)
        settings = Namespace(
            namespace,
            shards,
            payload_limit,
            claim_ttl_sec,
            retention_sec,
            max_finished,
            types,
            compress_above,
        )
        self._configure(client, settings, validate_near_cache(near_cache), owns_client=False)

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
        """Make a store for a server; it connects at the first call, or by `open`.

        Args:
            url: ``redis://``, ``rediss://`` (TLS), ``unix://`` or their ``valkey`` forms, as in redis-py.
            namespace: See the constructor.
            shards: See the constructor.
            payload_limit: See the constructor.
            claim_ttl_sec: See the constructor.
            retention_sec: See the constructor.
            max_finished: See the constructor.
            types: See the constructor.
            compress_above: See the constructor.
            near_cache: See the constructor.
            options: Further settings of redis-py's connections, such as ``socket_timeout`` or
                ``ssl_ca_certs``. ``max_connections`` is the most connections: of the process for
                `RedisStore`, and of each event loop for `AsyncRedisStore` (default 4, for calls; one more is
                subscribed).

        Raises:
            ConfigurationError: The URL or an option is malformed.
            InvalidTypeError, InvalidValueError: Another argument is malformed.
        """
        store = cls(
            cls._client_for(url, options),
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
        store._own(url, options)
        return store

    def _configure(
        self, client: C, namespace: Namespace, near_cache: NearCache | None, *, owns_client: bool
    ) -> None:
        self._client = client
        self._owns_client = owns_client
        self._server = server_name(client)
        self._namespace = self._target = namespace
        self._near_cache = near_cache
        self._is_open = False
        self._is_closed = False

    @staticmethod
    @abstractmethod
    def _client_for(url: str, options: dict[str, Any]) -> C:
        """Make a client for a URL."""

    @abstractmethod
    def _own(self, url: str, options: dict[str, Any]) -> None:
        """Take over the client that was made for a URL, and remember how to make others."""

    @property
    def name(self) -> str:
        """The name of the namespace: the prefix of all keys."""
        return self._namespace.name

    @property
    def shards(self) -> int:
        """The number of shards of the namespace."""
        return self._namespace.shards

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._server!r}, namespace={self.name!r})"
