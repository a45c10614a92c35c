"""Clients of redis-py, configured as this package needs them."""

import inspect
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from converge_redis.core.validation import short_repr, validate_integer
from converge_redis.errors import ConfigurationError

SOCKET_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0
CALL_CONNECTIONS = 4
RESERVED_CONNECTIONS = 2  # the subscribed one, and one for calls that are sent unbatched

_OF_ONE_CLIENT = {
    "retry",
    "event_dispatcher",
    "maint_notifications_config",
    "maint_notifications_pool_handler",
    "redis_connect_func",
}
_SCHEMES = {"valkey://": "redis://", "valkeys://": "rediss://"}
_ASYNC_CONNECTIONS: dict[type, Any] = {
    redis.Connection: redis.asyncio.Connection,
    redis.SSLConnection: redis.asyncio.SSLConnection,
    redis.UnixDomainSocketConnection: redis.asyncio.UnixDomainSocketConnection,
}


def blocking_client(url: str, options: dict[str, Any]) -> redis.Redis:
    """Make a blocking client for a URL.

    Raises:
        ConfigurationError: The URL or an option is malformed.
    """
    # By default redis-py sends every command up to ten times; delivery.py decides what is sent again.
    settings = _with_timeouts(options) | {"retry": Retry(NoBackoff(), 0)}
    try:
        client = redis.Redis.from_url(_normalize_scheme(url), **settings)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # redis-py validates option names only here
    except (ValueError, TypeError, redis.RedisError) as error:
        raise _bad_url(url, error) from error
    validate_client(client)
    return client


def async_client(url: str, options: dict[str, Any]) -> "redis.asyncio.Redis":
    """Make a client for asyncio for a URL: calls share a few connections, and wait for a free one.

    Raises:
        ConfigurationError: The URL or an option is malformed.
    """
    settings = _with_timeouts(options) | {"retry": AsyncRetry(NoBackoff(), 0)}
    connections = validate_integer(
        "max_connections", settings.pop("max_connections", CALL_CONNECTIONS), 1, 2**16
    )
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            _normalize_scheme(url),
            max_connections=connections + RESERVED_CONNECTIONS,
            timeout=None,
            **settings,
        )
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError) as error:
        raise _bad_url(url, error) from error
    client = redis.asyncio.Redis.from_pool(pool)
    validate_client(client)
    return client


def async_client_like(client: "redis.Redis | redis.asyncio.Redis") -> "redis.asyncio.Redis":
    """Make a client for asyncio, for another event loop, with the settings of a given client.

    Raises:
        ConfigurationError: The given client's kind of connection has no asyncio counterpart.
    """
    pool: Any = client.connection_pool
    settings = dict(pool.connection_kwargs)
    kind = pool.connection_class
    if kind.__module__.startswith("fakeredis"):
        import fakeredis  # noqa: PLC0415 - the given client was made with it

        return fakeredis.FakeAsyncRedis(server=settings.get("server"), host=settings["host"])
    if isinstance(client, redis.Redis):
        kind, settings = _async_connection(kind, settings)
    return redis.asyncio.Redis.from_pool(
        redis.asyncio.BlockingConnectionPool(
            connection_class=kind,
            max_connections=CALL_CONNECTIONS + RESERVED_CONNECTIONS,
            timeout=None,
            **{name: value for name, value in settings.items() if name not in _OF_ONE_CLIENT},
            retry=AsyncRetry(NoBackoff(), 0),
        )
    )


def _async_connection(kind: type, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Return the asyncio counterpart of a class of connections, and those settings that it accepts."""
    counterpart = _ASYNC_CONNECTIONS.get(kind)
    if counterpart is None:
        raise ConfigurationError(
            f"a client with {kind.__name__} cannot be used to wait: make the store with from_url"
        )
    # The settings that only the blocking class knows are bookkeeping, but for those of TLS.
    known = {name for base in counterpart.__mro__ for name in inspect.signature(base.__init__).parameters}
    missing = [
        name for name, value in settings.items() if name.startswith("ssl") and name not in known and value
    ]
    if missing:
        raise ConfigurationError(
            f"a client with {', '.join(missing)} cannot be used to wait: asyncio connections lack the setting"
        )
    return counterpart, {name: settings[name] for name in known & settings.keys()}


def tracking_pubsub(client: "redis.asyncio.Redis") -> PubSub:
    """Make a pub/sub connection that receives the invalidation messages of tracked keys.

    It uses version 2 of the protocol, where they are messages of a channel, which redis-py reads. It does not
    reconnect by itself: a new connection would not be tracking.
    """
    pool = client.connection_pool
    settings = {name: value for name, value in pool.connection_kwargs.items() if name not in _OF_ONE_CLIENT}
    settings |= {"protocol": 2, "retry": AsyncRetry(NoBackoff(), 0)}
    return PubSub(redis.asyncio.ConnectionPool(connection_class=pool.connection_class, **settings))


def max_call_connections(client: "redis.asyncio.Redis") -> int:
    """Return how many connections of a client may carry calls; a given client's pool may be unbounded."""
    available = int(client.connection_pool.max_connections) - RESERVED_CONNECTIONS
    if not isinstance(client.connection_pool, redis.asyncio.BlockingConnectionPool):
        available = min(available, CALL_CONNECTIONS)
    return max(1, available)


def validate_client(client: Any) -> None:
    """Validate that a client returns bytes and is connected to one server.

    Raises:
        ConfigurationError: It decodes replies, or is a cluster client.
    """
    if not isinstance(client, redis.Redis | redis.asyncio.Redis):
        raise ConfigurationError(
            f"the store needs a redis.Redis or redis.asyncio.Redis client, not {type(client).__name__}"
        )
    if client.connection_pool.get_encoder().decode_responses:
        raise ConfigurationError(
            "the client decodes replies (decode_responses=True), but payloads are bytes: "
            "make a client without it for the store, or use from_url"
        )


def server_name(client: "redis.Redis | redis.asyncio.Redis") -> str:
    """Return a URL that names the server of a client, without user name and password."""
    settings = client.connection_pool.connection_kwargs
    database = settings.get("db") or 0
    if "path" in settings:
        return f"unix://{settings['path']}?db={database}"
    kind: type = client.connection_pool.connection_class
    scheme = "rediss" if issubclass(kind, redis.SSLConnection | redis.asyncio.SSLConnection) else "redis"
    return f"{scheme}://{settings.get('host', 'localhost')}:{settings.get('port', 6379)}/{database}"


def _with_timeouts(options: dict[str, Any]) -> dict[str, Any]:
    defaults = {"socket_timeout": SOCKET_TIMEOUT, "socket_connect_timeout": CONNECT_TIMEOUT}
    return defaults | options


def _normalize_scheme(url: str) -> str:
    """Replace Valkey's own schemes, which redis-py does not know."""
    if not isinstance(url, str):
        raise ConfigurationError(f"the store's url must be a string, not {short_repr(url)}")
    for scheme, normal in _SCHEMES.items():
        if url.startswith(scheme):
            return normal + url.removeprefix(scheme)
    return url


def _bad_url(url: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"the store cannot be set up for the URL {without_password(url)!r}: {error} "
        "(for example redis://localhost:6379/0, rediss://user:password@host:6380/0, unix:///run/redis.sock?db=0)"
    )


def without_password(url: str) -> str:
    """Return a URL with the password hidden."""
    head, at, tail = url.rpartition("@")
    if not at:
        return url
    scheme, separator, login = head.partition("://")
    return f"{scheme}{separator}{login.partition(':')[0]}:***@{tail}"
