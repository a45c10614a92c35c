"""Every error that converge-redis raises, under one root.

Each message says what happened, to which id, and what to do about it. Errors about a value are also
``ValueError`` (or ``TypeError``), errors about the connection also ``ConnectionError``, so that code
written for the in-memory interface keeps its ``except`` clauses.
"""


class ConvergeError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(ConvergeError, ValueError):
    """The store, the namespace or the environment is set up in a way that cannot work."""


class StoreUnavailableError(ConvergeError, ConnectionError):
    """The server cannot be reached, or the connection broke and the bounded retries did not help.

    A call that changes something may or may not have happened; the same call may be made again.
    """


class StoreAuthenticationError(StoreUnavailableError):
    """The server refused the user name or the password, or demands one."""


class StoreFullError(ConvergeError):
    """The server has reached its ``maxmemory`` and refused a write; nothing was changed."""


class StoreReplyError(ConvergeError):
    """The server answered with an error, or with data that this version cannot read."""


class StoreClosedError(ConvergeError):
    """The store was closed; what waited on it ends with this error."""


class InvalidValueError(ConvergeError, ValueError):
    """An argument or a field has a value that is not allowed; nothing was changed."""


class InvalidTypeError(ConvergeError, TypeError):
    """An argument, a field or a part of a payload has a type that is not allowed; nothing was changed."""


class PayloadTooLargeError(InvalidValueError):
    """A payload is larger than the store's ``payload_limit`` once encoded; nothing was changed."""


class TaskExistsError(ConvergeError, ValueError):
    """Another task has been submitted under the same id; nothing was changed."""


class NotAuthorizedError(ConvergeError, ValueError):
    """The agent does not hold the claim that this act needs; nothing was changed."""


class ClaimLostError(NotAuthorizedError):
    """The agent held the claim once, but it has expired, was given back, or passed to another claim."""


class TaskCancelledError(ClaimLostError):
    """The task was cancelled while the agent held its claim."""


class PoolExistsError(ConvergeError, ValueError):
    """A pool with another specification exists under the same id; nothing was changed."""


class PoolNotFoundError(ConvergeError, ValueError):
    """There is no pool with this id."""


class AdmissionDeniedError(ConvergeError, ValueError):
    """The pool did not admit the agent; ``reason`` tells why in one word.

    Attributes:
        reason: ``"full"``, ``"not_on_whitelist"``, ``"wrong_token"``, ``"untrusted"``, ``"policy"``, or
            ``"busy"``: the pool changed too often while its policy was asked.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class AuctionExistsError(ConvergeError, ValueError):
    """An auction with other terms exists under the same id; nothing was changed."""


class BallotExistsError(ConvergeError, ValueError):
    """A ballot with other terms exists under the same id; nothing was changed."""


class ActRefusedError(ConvergeError, ValueError):
    """The rules of a session do not allow an act; nothing was changed.

    Attributes:
        reason: Why, in one word; the verbs tell which ones there are. ``"late"``: the session is over.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class ComputeFailedError(ConvergeError):
    """Another process computed what this one waited for, and failed.

    Attributes:
        reason: The error there: its class and its text.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class DelegationRefusedError(ActRefusedError):
    """A delegation would give more than its parent, or what it hands on has ended; ``reason`` tells why.

    Attributes:
        reason: ``"unknown"``, ``"not_holder"``, ``"revoked"``, ``"expired"``, ``"gone"`` (expired long ago),
            ``"left"`` (a delegator has left the pool), ``"scope"``, ``"time"``, ``"depth"`` or ``"cycle"``.
    """


class EmbeddedServerError(ConvergeError, RuntimeError):
    """No server binary was found, or the embedded server did not start."""
