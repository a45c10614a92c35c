"""The server of a run: one of its own, or a namespace of its own on the user's."""

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import redis

from converge_redis.server.embedded import EmbeddedServer
from converge_redis.store.redis_store import RedisStore
from converge_redis.transport.clients import blocking_client

_KEYS_TOGETHER = 500


@contextlib.contextmanager
def run_server(url: str | None) -> Iterator[tuple[str, redis.Redis, RedisStore]]:
    """Provide a server and a fresh namespace, of which nothing is left at the end.

    Args:
        url: The user's server; None: one is started, and ends with this process.

    Yields:
        The URL, a client, and a store.
    """
    with contextlib.ExitStack() as stack:
        own = url is None
        if url is None:
            url = stack.enter_context(EmbeddedServer()).url
        client = stack.enter_context(blocking_client(url, {}))
        namespace = f"demo-{uuid4().hex}"
        store = stack.enter_context(RedisStore(client, namespace))
        try:
            yield url, client, store
        finally:
            if not own:
                _delete(client, namespace)


def _delete(client: redis.Redis, namespace: str) -> None:
    """Delete all keys of a namespace, whose hash tags begin with its name."""
    with contextlib.suppress(redis.RedisError):  # the server may be what failed
        keys = []
        for key in client.scan_iter(match=f"{{{namespace}[:}}]*", count=_KEYS_TOGETHER):
            keys.append(key)
            if len(keys) == _KEYS_TOGETHER:
                client.unlink(*keys)
                keys.clear()
        if keys:
            client.unlink(*keys)


def server_version(client: redis.Redis) -> str:
    """Return the name and version of a server, as in ``Valkey 9.1.2``."""
    info = client.info("server")
    if "valkey_version" in info:
        return f"Valkey {info['valkey_version']}"
    return f"Redis {info.get('redis_version', 'of an unknown version')}"
