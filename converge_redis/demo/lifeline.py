"""What ties a process of the fleet to the main process, which holds the other end of its standard input."""

import os
import sys
import threading

from converge_redis.store import RedisStore

STOP = b"stop\n"


def hold_lifeline(role: str, store: RedisStore) -> None:
    """Close the store when the main process says ``stop``; end at once when it is gone, however it ended.

    Args:
        role: What this process is, for the message.
        store: Its store; what waits on it ends with `StoreClosedError`.
    """
    threading.Thread(target=_hold, args=(role, store), daemon=True).start()


def _hold(role: str, store: RedisStore) -> None:
    if os.read(sys.stdin.fileno(), len(STOP)) == STOP:
        store.close()
        return
    os.write(sys.stderr.fileno(), f"{role}: the main process is gone, so this one ends too\n".encode())
    os._exit(1)
