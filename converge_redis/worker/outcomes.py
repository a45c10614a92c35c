"""Outcomes: exceptions by which a handler decides about its task, and the stored form of all others."""

import traceback
from typing import Any

from converge_redis.core.validation import validate_seconds

MAX_TRACEBACK_LENGTH = 8000


class TaskFailure(Exception):  # noqa: N818 - as in unittest, a failure is no error
    """Raised by a handler: the task has failed for good.

    Args:
        reason: The stored result of the task: any payload.
    """

    def __init__(self, reason: Any) -> None:
        super().__init__(reason)
        self.reason = reason


class TryLater(Exception):  # noqa: N818 - it is no error
    """Raised by a handler: the task cannot be done now; it is released, and the attempt does not count.

    Args:
        delay: Seconds until it can be claimed again.
    """

    def __init__(self, delay: float = 0.0) -> None:
        super().__init__(delay)
        self.delay = validate_seconds("delay", delay, zero=True)


def exception_reason(error: BaseException, attempts: int) -> dict[str, Any]:
    """Return the reason that is stored for a task whose handler raised an exception.

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
        "traceback": _storable(text[-MAX_TRACEBACK_LENGTH:]),
        "attempts": attempts,
    }


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
