"""Errors: everything that this package raises, under one root.

A message says what happened, to which id, and what to do about it; ids and reasons are attributes too. Errors
about a value are also ``ValueError`` or ``TypeError``, errors about the connection also ``ConnectionError``,
so that code written for the in-memory interface keeps its ``except`` clauses.
"""


class ConvergeError(Exception):
    """Root of all errors of this package."""


class ConfigurationError(ConvergeError, ValueError):
    """The store, the namespace or the environment is set up in a way that cannot work."""


class StoreError(ConvergeError):
    """The server, the connection to it or what it returned is the problem, not the call."""


class StoreUnavailableError(StoreError, ConnectionError):
    """The server could not be reached, or the connection broke and the bounded retries did not help.

    A call that changes something may or may not have happened; the same call may be made again.
    """


class StoreAuthenticationError(StoreUnavailableError):
    """The server refused the user name or the password, or demands one."""


class StoreFullError(StoreError):
    """The server has reached its ``maxmemory`` and refused a write; nothing was changed."""


class StoreReplyError(StoreError):
    """The server returned an error, or data that this version cannot read."""


class StoreClosedError(StoreError):
    """The store was closed; a call that was waiting ends with this error."""

    def __init__(self, message: str = "the store was closed; make a new one") -> None:
        super().__init__(message)


class InvalidValueError(ConvergeError, ValueError):
    """An argument or a field has a value that is not allowed; nothing was changed."""


class InvalidTypeError(ConvergeError, TypeError):
    """An argument, a field or a part of a payload has a type that is not allowed; nothing was changed."""


class PayloadTooLargeError(InvalidValueError):
    """A payload is larger than the store's ``payload_limit`` once encoded; nothing was changed."""


class AlreadyExistsError(ConvergeError, ValueError):
    """The id is in use for something else; nothing was changed.

    Attributes:
        ids: The ids in question.
    """

    def __init__(self, message: str, *ids: str) -> None:
        super().__init__(message)
        self.ids = ids


class TaskExistsError(AlreadyExistsError):
    """Another task was submitted under the same id; ``ids`` holds the task ids."""


class PoolExistsError(AlreadyExistsError):
    """A pool with another specification has the same id."""


class AuctionExistsError(AlreadyExistsError):
    """An auction with other terms has the same id."""


class BallotExistsError(AlreadyExistsError):
    """A ballot with other terms has the same id."""


class TaskFailedError(ConvergeError):
    """A task whose result was asked for has failed, or was cancelled.

    Attributes:
        task_id: The task.
        reason: Its ``result``: the reason of the failure, as it was stored; None for a cancelled task.
    """

    def __init__(self, message: str, task_id: str = "", reason: object = None) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.reason = reason


class PoolNotFoundError(ConvergeError, ValueError):
    """There is no pool with this id.

    Attributes:
        pool_id: The id.
    """

    def __init__(self, message: str, pool_id: str = "") -> None:
        super().__init__(message)
        self.pool_id = pool_id


class RefusedError(ConvergeError, ValueError):
    """The rules do not allow the call now; nothing was changed.

    Attributes:
        reason: Why, in one word; each method's documentation lists its reasons.
        agent_id: The agent that was refused; None: the call named none.
    """

    def __init__(self, message: str, reason: str = "", agent_id: str | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.agent_id = agent_id


class NotAuthorizedError(RefusedError):
    """The agent does not hold the claim or the authority that the call needs.

    Attributes:
        reason: ``"not_holder"``, ``"claim_lost"``, ``"cancelled"``, ``"not_granted"`` or ``"not_issuer"``.
        task_id: The task; None: the call is about something else.
    """

    def __init__(
        self, message: str, reason: str = "", agent_id: str | None = None, task_id: str | None = None
    ) -> None:
        super().__init__(message, reason, agent_id)
        self.task_id = task_id


class ClaimLostError(NotAuthorizedError):
    """The agent held the claim once, but it has expired, was released, or was replaced by another claim."""


class TaskCancelledError(ClaimLostError):
    """The task was cancelled while the agent held its claim."""


class AdmissionDeniedError(RefusedError):
    """The pool did not admit the agent.

    Attributes:
        reason: ``"full"``, ``"not_on_whitelist"``, ``"wrong_token"``, ``"untrusted"``, ``"policy"``, or
            ``"busy"``: the pool changed each time that its policy was being checked.
        pool_id: The pool.
    """

    def __init__(
        self, message: str, reason: str = "", agent_id: str | None = None, pool_id: str = ""
    ) -> None:
        super().__init__(message, reason, agent_id)
        self.pool_id = pool_id


class ActRefusedError(RefusedError):
    """The rules of a negotiation, auction, ballot or call for proposals do not allow an action.

    Attributes:
        reason: ``"late"``: it is over; ``"unknown"``: it does not exist; the others are those of the method.
    """


class DelegationRefusedError(RefusedError):
    """A delegation would give more than its parent gives, or what it passes on has ended.

    Attributes:
        reason: ``"unknown"``, ``"not_holder"``, ``"revoked"``, ``"expired"``, ``"gone"`` (expired long ago),
            ``"left"`` (a delegator has left the pool), ``"scope"``, ``"time"``, ``"depth"`` or ``"cycle"``.
    """


class ComputeFailedError(ConvergeError):
    """Another process computed the cached value that this one waited for, and its computation failed.

    Attributes:
        reason: The error there: its class and its text.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class EmbeddedServerError(ConvergeError, RuntimeError):
    """No server binary was found, or the embedded server did not start."""
