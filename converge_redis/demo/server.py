"""The server of a run: an embedded one, or a new namespace on the user's server."""

import contextlib
from collections.abc import Iterator
from uuid import uuid4

import redis

from converge_redis.server.embedded import EmbeddedServer
from converge_redis.store.redis_store import RedisStore
from converge_redis.transport.clients import blocking_client

_KEYS_PER_CALL = 500


@contextlib.contextmanager
def run_server(url: str | None) -> Iterator[tuple[str, redis.Redis, RedisStore]]:
    """Provide a server and a new namespace, whose keys are deleted at the end.

    Args:
        url: The user's server; None: start an embedded server.

    Yields:
        The URL, a client, and a store.
    """
    with contextlib.ExitStack() as stack:
        is_embedded = url is None
        if url is None:
            url = stack.enter_context(EmbeddedServer()).url
        client = stack.enter_context(blocking_client(url, {}))
        namespace = f"demo-{uuid4().hex}"
        store = stack.enter_context(RedisStore(client, namespace))
        try:
            yield url, client, store
        finally:
            if not is_embedded:
                _delete(client, namespace)


def _delete(client: redis.Redis, namespace: str) -> None:
    """Delete all keys of a namespace: those whose hash tag begins with its name."""
    with contextlib.suppress(redis.RedisError):  # the run may have failed because the server did
        keys = []
        for key in client.scan_iter(match=f"{{{namespace}[:}}]*", count=_KEYS_PER_CALL):
            keys.append(key)
            if len(keys) == _KEYS_PER_CALL:
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
