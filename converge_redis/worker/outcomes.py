"""What a handler may raise to say what becomes of its task, and what is stored of other exceptions."""

import traceback
from typing import Any

from converge_redis.core.validation import check_seconds

MOST_TRACEBACK = 8000


class TaskFailure(Exception):  # noqa: N818 - as in unittest, a failure is no error
    """Raised by a handler: the task has failed for good.

    Args:
        reason: What is stored as the task's result; any payload that can be stored.
    """

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason


class TryLater(Exception):  # noqa: N818 - it is no error
    """Raised by a handler: the task cannot be done now; it is given back, and the attempt does not count.

    Args:
        delay: Seconds until it can be claimed again.
    """

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.delay = check_seconds("delay", delay, zero=True)


def reason_of(error: BaseException, attempts: int) -> dict[str, Any]:
    """Tell why a handler's exception failed a task, as what is stored.

    Returns:
        ``reason`` (always ``"exception"``), ``type``, ``message``, ``traceback`` (its last part) and
        ``attempts``.
    """
    kind = type(error)
    text = "".join(traceback.format_exception(error))
    return {
        "reason": "exception",
        "type": f"{kind.__module__}.{kind.__qualname__}",
        "message": _storable(str(error)),
        "traceback": _storable(text[-MOST_TRACEBACK:]),
        "attempts": attempts,
    }


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
