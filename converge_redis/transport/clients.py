"""Clients of redis-py, set up as this package needs them."""

import inspect
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from converge_redis.core.validation import check_integer, shown
from converge_redis.errors import ConfigurationError

SOCKET_TIMEOUT = 10.0
CONNECT_TIMEOUT = 5.0
ASYNC_CONNECTIONS = 4
OTHERS = 2  # one connection listens, and one is for calls that travel alone

_OF_ONE_CLIENT = {
    "retry",
    "event_dispatcher",
    "maint_notifications_config",
    "maint_notifications_pool_handler",
    "redis_connect_func",
}
_SCHEMES = {"valkey://": "redis://", "valkeys://": "rediss://"}


def blocking_client(url: str, options: dict[str, Any]) -> redis.Redis:
    """Make a blocking client for a URL.

    Raises:
        ConfigurationError: The URL or an option is malformed.
    """
    # redis-py repeats every command up to ten times by default; what to repeat is decided in sending.py.
    settings = _settings(options) | {"retry": Retry(NoBackoff(), 0)}
    try:
        client = redis.Redis.from_url(_usual(url), **settings)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # option names are looked at only here
    except (ValueError, TypeError, redis.RedisError) as error:
        raise _malformed(url, error) from error
    check_client(client)
    return client


def async_client(url: str, options: dict[str, Any]) -> "redis.asyncio.Redis":
    """Make a client for asyncio for a URL: calls share a few connections, and wait for a free one.

    Raises:
        ConfigurationError: The URL or an option is malformed.
    """
    settings = _settings(options) | {"retry": AsyncRetry(NoBackoff(), 0)}
    connections = check_integer(
        "max_connections", settings.pop("max_connections", ASYNC_CONNECTIONS), 1, 2**16
    )
    try:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            _usual(url), max_connections=connections + OTHERS, timeout=None, **settings
        )
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError, redis.RedisError) as error:
        raise _malformed(url, error) from error
    client = redis.asyncio.Redis.from_pool(pool)
    check_client(client)
    return client


def async_twin(client: redis.Redis) -> "redis.asyncio.Redis":
    """Make a client for asyncio with the settings of a blocking one, for the background thread.

    Raises:
        ConfigurationError: The client's kind of connection has no known counterpart.
    """
    pool = client.connection_pool
    kwargs = dict(pool.connection_kwargs)
    kind = pool.connection_class
    if kind.__module__.startswith("fakeredis"):
        import fakeredis  # noqa: PLC0415 - it is there if somebody made this client

        return fakeredis.FakeAsyncRedis(server=kwargs.get("server"), host=kwargs["host"])
    kinds: dict[type, Any] = {
        redis.Connection: redis.asyncio.Connection,
        redis.SSLConnection: redis.asyncio.SSLConnection,
        redis.UnixDomainSocketConnection: redis.asyncio.UnixDomainSocketConnection,
    }
    if kind not in kinds:
        raise ConfigurationError(
            f"a client with {kind.__name__} cannot be used to wait: make the store with from_url"
        )
    # The two families take different settings; what only one knows is bookkeeping, or cannot be honoured.
    known = {name for base in kinds[kind].__mro__ for name in inspect.signature(base.__init__).parameters}
    missing = [
        name for name, value in kwargs.items() if name.startswith("ssl") and name not in known and value
    ]
    if missing:
        raise ConfigurationError(
            f"a client with {', '.join(missing)} cannot be used to wait: no asyncio form"
        )
    settings = {name: kwargs[name] for name in (known & kwargs.keys()) - _OF_ONE_CLIENT}
    return redis.asyncio.Redis.from_pool(
        redis.asyncio.BlockingConnectionPool(
            connection_class=kinds[kind],
            max_connections=ASYNC_CONNECTIONS + OTHERS,
            timeout=None,
            retry=AsyncRetry(NoBackoff(), 0),
            **settings,
        )
    )


def async_clone(client: "redis.asyncio.Redis") -> "redis.asyncio.Redis":
    """Make a client for another event loop, with the settings of one."""
    pool = client.connection_pool
    kwargs = dict(pool.connection_kwargs)
    if pool.connection_class.__module__.startswith("fakeredis"):
        import fakeredis  # noqa: PLC0415 - it is there if somebody made this client

        return fakeredis.FakeAsyncRedis(server=kwargs.get("server"), host=kwargs["host"])
    settings = {name: value for name, value in kwargs.items() if name not in _OF_ONE_CLIENT}
    return redis.asyncio.Redis.from_pool(
        redis.asyncio.BlockingConnectionPool(
            connection_class=pool.connection_class,
            max_connections=ASYNC_CONNECTIONS + OTHERS,
            timeout=None,
            retry=AsyncRetry(NoBackoff(), 0),
            **settings,
        )
    )


def tracking_pubsub(client: "redis.asyncio.Redis") -> PubSub:
    """Make the subscribed connection of a client anew for messages about keys that change.

    With version 2 of the protocol they come as messages of a channel, which redis-py reads. It does not make
    the connection anew of its own accord: the new one would not be told of changes.
    """
    pool = client.connection_pool
    settings = {name: value for name, value in pool.connection_kwargs.items() if name not in _OF_ONE_CLIENT}
    settings |= {"protocol": 2, "retry": AsyncRetry(NoBackoff(), 0)}
    return PubSub(redis.asyncio.ConnectionPool(connection_class=pool.connection_class, **settings))


def calls_at_once(client: "redis.asyncio.Redis") -> int:
    """Return how many connections of a client may carry calls: a given client's pool may be without limit."""
    most = int(client.connection_pool.max_connections) - OTHERS
    return max(
        1,
        most
        if isinstance(client.connection_pool, redis.asyncio.BlockingConnectionPool)
        else min(most, ASYNC_CONNECTIONS),
    )


def check_client(client: Any) -> None:
    """Check that a client returns bytes and speaks to one server.

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


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    defaults = {
        "socket_timeout": SOCKET_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
    }
    return defaults | options


def _usual(url: str) -> str:
    """Accept Valkey's own schemes, which redis-py does not know."""
    if not isinstance(url, str):
        raise ConfigurationError(f"the store's url must be a string, not {shown(url)}")
    for scheme, usual in _SCHEMES.items():
        if url.startswith(scheme):
            return usual + url.removeprefix(scheme)
    return url


def _malformed(url: str, error: Exception) -> ConfigurationError:
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
