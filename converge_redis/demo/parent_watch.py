"""Watch the main process: it holds the other end of this process's standard input."""

import os
import sys
import threading
from collections.abc import Callable

STOP = b"stop\n"


def watch_parent(role: str, stop: Callable[[], None]) -> None:
    """Stop when the main process writes ``stop``; exit at once when it has ended, even by SIGKILL.

    Args:
        role: The role of this process, for the message.
        stop: Called in another thread to end the work of this process.
    """
    threading.Thread(target=_watch, args=(role, stop), daemon=True).start()


def _watch(role: str, stop: Callable[[], None]) -> None:
    if os.read(sys.stdin.fileno(), len(STOP)) == STOP:
        stop()
        return
    os.write(sys.stderr.fileno(), f"{role}: the main process has ended; exiting\n".encode())
    os._exit(1)
