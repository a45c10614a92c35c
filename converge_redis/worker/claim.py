"""The claim of the running handler."""

import threading
from collections.abc import Callable
from contextvars import ContextVar

from converge_redis.errors import NotAuthorizedError
from converge_redis.tasks.model import Task

_lock = threading.Lock()  # one for all claims: losses are rare, and so are calls that wait for them


class Claim:
    """A claim of a worker, which its handler gets by `current_claim`.

    Attributes:
        task: The task as it was claimed.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._error: NotAuthorizedError | None = None
        self._lost: threading.Event | None = None
        self._on_lost: Callable[[], None] | None = None

    def __repr__(self) -> str:
        return f"Claim(task_id={self.task.id!r}, claim_token={self.task.claim_token}, is_lost={self.is_lost})"

    @property
    def key(self) -> tuple[str, int]:
        """The identity of this claim: the task's id and the claim token."""
        return self.task.id, self.task.claim_token or 0

    @property
    def error(self) -> NotAuthorizedError | None:
        """Why the claim is lost: `TaskCancelledError`, `ClaimLostError`; None: it is not lost."""
        return self._error

    @property
    def is_lost(self) -> bool:
        """Whether the claim is lost: the result of the handler will be refused."""
        return self._error is not None

    def wait_lost(self, timeout: float | None = None) -> bool:
        """Block until the claim is lost.

        Args:
            timeout: The most seconds to wait; None: no limit.

        Returns:
            Whether it is lost.
        """
        with _lock:
            if self._error is not None:
                return True
            self._lost = self._lost or threading.Event()
        return self._lost.wait(timeout)

    def check(self) -> None:
        """Raise an error if the claim is lost; blocking handlers may call this from time to time.

        Raises:
            ClaimLostError, TaskCancelledError: The claim is lost.
        """
        if self._error is not None:
            raise self._error

    def on_lost(self, callback: Callable[[], None] | None) -> None:
        """Set the function that is called, in any thread, when the claim is lost; for the worker."""
        self._on_lost = callback
        if callback is not None and self.is_lost:
            callback()

    def lose(self, error: NotAuthorizedError) -> None:
        """Mark the claim as lost; for the worker."""
        with _lock:
            if self._error is not None:
                return
            self._error = error
        if self._lost is not None:
            self._lost.set()
        if self._on_lost is not None:
            self._on_lost()


_current: ContextVar[Claim] = ContextVar("converge_redis_claim")


def current_claim() -> Claim:
    """Return the claim of the running handler.

    Raises:
        LookupError: The caller does not run in a worker's handler.
    """
    return _current.get()


def set_current_claim(claim: Claim) -> None:
    """Set what `current_claim` returns in this context."""
    _current.set(claim)
