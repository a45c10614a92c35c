"""Delivery: what to send for an operation, when to retry, and which error to raise, without doing I/O.

`requests` turns the work of a method into single requests and takes their answers. The two runners, one
blocking (`converge_redis.store.redis_store`) and one on asyncio (`converge_redis.store.async_runner`),
execute the requests and decide nothing.
"""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from redis import exceptions

from converge_redis.core.operation import (
    Argument,
    Command,
    Compute,
    Emit,
    OnListener,
    Operation,
    ReadNear,
    Single,
    Unfinished,
    WithListener,
)
from converge_redis.errors import (
    ConvergeError,
    StoreAuthenticationError,
    StoreFullError,
    StoreReplyError,
    StoreUnavailableError,
)

T = TypeVar("T")
Parts = tuple[Argument, ...]

RETRY_PAUSES = (0.0, 0.05, 0.2, 0.8)
"""Seconds before each retry after a lost connection; each is multiplied by a random 0.5 to 1.5."""

_LOST = (exceptions.ConnectionError, exceptions.TimeoutError)


@dataclass(slots=True)
class Pause:
    """Wait for some seconds."""

    seconds: float


@dataclass(slots=True)
class Batch:
    """Send commands together; the answer is a list of replies and reply errors."""

    commands: list[Parts]


@dataclass(slots=True)
class Unbatched:
    """Send one command in a write of its own: it may be the one that broke the connection of a batch."""

    command: Parts


Request = (
    Parts | Unbatched | Batch | Pause | OnListener[Any] | WithListener[Any] | Emit[Any] | ReadNear | Compute
)
Requests = Generator[Request, Any, T]


def first_command(single: Single[Any], client_retries: bool) -> Parts:
    """Return the first command of an operation; where it fails, `requests` knows how to go on."""
    if isinstance(single, Command):
        return single.parts
    args = (single.retry_args if client_retries else None) or single.args
    return ("EVALSHA", single.script.sha, len(single.keys), *single.keys, *args)


def requests(
    call: Single[T] | Generator[Any, Any, T], client_retries: bool = False, failure: Exception | None = None
) -> Requests[T]:
    """Yield the requests of a method call, one after the other; the generator returns the method's result.

    Args:
        call: An operation, a command or a procedure.
        client_retries: Whether the client itself may send a command again, as redis-py does by default.
        failure: The error with which the first command of an operation has failed already; None: it was not
            sent yet.
    """
    if isinstance(call, Operation | Command):
        return _deliver(call, client_retries, failure)
    return _drive(call, client_retries)


def _drive(procedure: Generator[Any, Any, T], client_retries: bool) -> Requests[T]:
    """Run a procedure; errors of its requests are raised inside it."""
    try:
        request: Any = next(procedure)
        while True:
            try:
                if isinstance(request, Operation | Command):
                    try:  # once; `_deliver` takes over where that fails
                        reply = yield first_command(request, client_retries)
                    except Exception as error:
                        answer: Any = yield from _deliver(request, client_retries, error)
                    else:
                        answer = yield from _decoded(request, reply, client_retries)
                elif isinstance(request, OnListener | WithListener | Emit | ReadNear | Compute):
                    answer = yield request
                else:
                    answer = yield from _send_all(request, client_retries)
            except ConvergeError as error:
                request = procedure.throw(error)
            else:
                request = procedure.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        procedure.close()


def _decoded(single: Single[T], reply: Any, client_retries: bool) -> Requests[T]:
    try:
        return single.decode(reply)
    except Unfinished as unfinished:
        result: T = yield from _drive(unfinished.procedure, client_retries)
        return result


def _deliver(single: Single[T], client_retries: bool, failure: Exception | None = None) -> Requests[T]:
    """Send an operation or a command, again where that is of use.

    Args:
        single: The operation or command.
        client_retries: See `requests`.
        failure: The error of a first attempt; None: there was none.
    """

    def attempt(is_retry: bool) -> Requests[Any]:
        command = first_command(single, is_retry or client_retries)
        try:
            if failure is not None and not is_retry:
                raise failure
            return (yield (Unbatched(command) if is_retry else command))
        except exceptions.NoScriptError:
            if isinstance(single, Command):
                raise
            return (yield ("EVAL", single.script.text, *command[2:]))

    reply = yield from _with_retries(attempt)
    return (yield from _decoded(single, reply, client_retries))


def _with_retries(attempt: Callable[[bool], Requests[Any]]) -> Requests[Any]:
    """Send something, and send it again after a lost connection: every operation allows it."""
    for number, pause in enumerate((*RETRY_PAUSES, None)):
        try:
            return (yield from attempt(number > 0))
        except _LOST as error:
            if pause is None or _is_authentication(error):
                raise_for(error)
            yield Pause(pause * (0.5 + random.random()))  # noqa: S311 - spreads load, guards nothing
        except exceptions.RedisError as error:
            # BUSY: another script has run for too long; this one has not begun.
            if pause is None or not str(error).startswith("BUSY"):
                raise_for(error)
            yield Pause(pause)
    raise AssertionError("unreachable")  # pragma: no cover - the last pause is None


def _send_all(operations: Sequence[Operation[T]], client_retries: bool) -> Requests[list[T]]:
    """Send operations together. Those without a reply are retried one by one."""
    if len(operations) == 1:
        return [(yield from _deliver(operations[0], client_retries))]
    commands = [first_command(operation, client_retries) for operation in operations]
    try:
        replies = yield Batch(commands)
    except _LOST as error:
        replies = [error] * len(operations)
    results: list[T] = []
    for operation, reply in zip(operations, replies, strict=True):
        if isinstance(reply, exceptions.NoScriptError):
            results.append((yield from _deliver(operation, client_retries)))
        elif isinstance(reply, _LOST):
            results.append((yield from _deliver(operation, True)))
        elif isinstance(reply, exceptions.RedisError):
            raise_for(reply)
        else:
            results.append((yield from _decoded(operation, reply, client_retries)))
    return results


def _is_authentication(error: exceptions.RedisError) -> bool:
    # redis-py wraps some of these errors in a plain connection error, and cuts the first word off others.
    cause = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    return isinstance(cause, exceptions.AuthenticationError | exceptions.AuthorizationError) or str(
        cause
    ).startswith(("NOAUTH", "WRONGPASS", "HELLO must be called with the client already authenticated"))


def raise_for(error: exceptions.RedisError) -> NoReturn:
    """Raise this package's error for one of redis-py."""
    text = str(error).rstrip(".")
    if _is_authentication(error):
        raise StoreAuthenticationError(
            f"the server refused the user name or password in the store's URL: {text}"
        ) from error
    if isinstance(error, _LOST):
        raise StoreUnavailableError(
            f"the server cannot be reached, or did not answer in time: {text}. Whether a call in flight took "
            "effect is not known; it may be made again"
        ) from error
    if isinstance(error, exceptions.OutOfMemoryError) or text.startswith("OOM"):
        raise StoreFullError(f"the server has reached its maxmemory, nothing was changed: {text}") from error
    raise StoreReplyError(f"the server returned an error: {text}") from error
