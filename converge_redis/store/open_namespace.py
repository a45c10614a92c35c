"""The first operation of every store: check the layout of the namespace and the server's eviction policy."""

import warnings
from collections.abc import Sequence
from typing import Any

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Operation
from converge_redis.core.scripts import Script
from converge_redis.errors import ConfigurationError

_OPEN = Script("store/open")

LAYOUT_VERSION = 2


class EvictionWarning(UserWarning):
    """The server may evict keys, and with them tasks, claims and results."""


def open_namespace(namespace: Namespace) -> Operation[None]:
    """Store the settings of a new namespace, or check them; warn when the server may evict keys.

    Raises:
        ConfigurationError: The namespace is in use with another number of shards, or by another version.
    """

    def read(reply: Sequence[Any]) -> None:
        version, shards, policy = int(reply[1]), int(reply[2]), reply[3].decode()
        if version != LAYOUT_VERSION:
            raise ConfigurationError(
                f"namespace {namespace.name!r} has the key layout {version}, this version of converge-redis "
                f"uses "
                f"{LAYOUT_VERSION}: use another namespace, or the version that made it"
            )
        if shards != namespace.shards:
            raise ConfigurationError(
                f"namespace {namespace.name!r} is in use with shards={shards}, this store has shards="
                f"{namespace.shards}: all stores of a namespace need the same number"
            )
        if policy not in {"", "noeviction"}:
            warnings.warn(
                f"the server's maxmemory-policy is {policy}: when memory runs short it evicts keys, and with "
                "them tasks, claims and results; set it to noeviction",
                EvictionWarning,
                stacklevel=2,
            )

    return Operation(_OPEN, (namespace.keys.layout,), (LAYOUT_VERSION, namespace.shards), read)
