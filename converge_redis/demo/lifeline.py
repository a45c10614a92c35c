"""What ties a process of the fleet to the main process, which holds the other end of its standard input."""

import os
import sys
import threading
from collections.abc import Callable

STOP = b"stop\n"


def hold_lifeline(role: str, stop: Callable[[], None]) -> None:
    """Stop when the main process says ``stop``; end at once when it is gone, however it ended.

    Args:
        role: What this process is, for the message.
        stop: Called, in a thread of its own, to end the work of this process.
    """
    threading.Thread(target=_hold, args=(role, stop), daemon=True).start()


def _hold(role: str, stop: Callable[[], None]) -> None:
    if os.read(sys.stdin.fileno(), len(STOP)) == STOP:
        stop()
        return
    os.write(sys.stderr.fileno(), f"{role}: the main process is gone, so this one ends too\n".encode())
    os._exit(1)
