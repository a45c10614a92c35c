"""Reading about the server: ping, info."""

from collections.abc import Mapping
from dataclasses import dataclass

from converge_redis.core.namespace import Namespace
from converge_redis.core.operation import Procedure, command, send
from converge_redis.errors import StoreReplyError


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the server of a store reports about itself; None where it does not report it.

    Attributes:
        product: ``"redis"`` or ``"valkey"``.
        version: The version of the product.
        role: ``"master"`` or ``"slave"``.
        used_memory: The bytes of memory in use.
        max_memory: The server's ``maxmemory`` in bytes; 0: no limit.
        eviction_policy: The server's ``maxmemory-policy``; anything but ``noeviction`` may delete tasks.
        clients: The number of connected clients.
        uptime_sec: Seconds since the server was started.
    """

    product: str | None = None
    version: str | None = None
    role: str | None = None
    used_memory: int | None = None
    max_memory: int | None = None
    eviction_policy: str | None = None
    clients: int | None = None
    uptime_sec: float | None = None


def ping(namespace: Namespace) -> Procedure[bool]:
    """Check that the server answers.

    Returns:
        True.

    Raises:
        StoreUnavailableError: The server cannot be reached, or did not answer in time.
    """
    del namespace
    reply = yield from send(command("PING"))
    return bool(reply)


def info(namespace: Namespace) -> Procedure[ServerInfo]:
    """Read what the server reports about itself.

    Returns:
        The report; its fields are None on a server without the INFO command, such as the fake one of tests.

    Raises:
        StoreUnavailableError: The server cannot be reached, or did not answer in time.
    """
    del namespace
    try:
        text: bytes = yield from send(command("INFO"))
    except StoreReplyError:
        return ServerInfo()
    lines = (line.partition(":") for line in text.decode(errors="replace").splitlines())
    fields = {name: value for name, colon, value in lines if colon}
    product = "valkey" if "valkey_version" in fields else "redis"
    return ServerInfo(
        product=product,
        version=fields.get(f"{product}_version"),
        role=fields.get("role"),
        used_memory=_integer(fields, "used_memory"),
        max_memory=_integer(fields, "maxmemory"),
        eviction_policy=fields.get("maxmemory_policy"),
        clients=_integer(fields, "connected_clients"),
        uptime_sec=_integer(fields, "uptime_in_seconds"),
    )


def _integer(fields: Mapping[str, str], name: str) -> int | None:
    return int(fields[name]) if fields.get(name, "").isdigit() else None
