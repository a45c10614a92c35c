"""How operations travel: what to send, when to send it again, which error to raise. Without input or output.

`requests` turns a verb's work into single requests and takes their answers; the two runners
(`converge_redis.store.redis_store`) carry them out, one blocking, one on asyncio, and decide nothing.
"""

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

from redis import exceptions

from converge_redis.core.operation import Argument, Command, Compute, Give, Join, Listen, Near, Operation
from converge_redis.errors import (
    ConvergeError,
    StoreAuthenticationError,
    StoreFullError,
    StoreReplyError,
    StoreUnavailableError,
)

T = TypeVar("T")
Parts = tuple[Argument, ...]

PAUSES = (0.0, 0.05, 0.2, 0.8)
"""Seconds before a call is sent again after a lost connection, each drawn from half to one and a half."""


@dataclass(slots=True)
class Pause:
    """Ask the runner to let time pass, in seconds."""

    seconds: float


@dataclass(slots=True)
class Batch:
    """Ask the runner to send commands together; the answer is a list of replies and reply errors."""

    commands: list[Parts]


@dataclass(slots=True)
class Alone:
    """Ask the runner to send one command apart from all others: perhaps it is what broke their connection."""

    command: Parts


Requests = Generator[
    "Parts | Alone | Batch | Pause | Listen[Any] | Join | Give[Any] | Near | Compute", Any, T
]


def first_command(operation: Operation[Any], repeats: bool) -> Parts:
    """Return the command that an operation begins with; when it fails, `requests` tells how to go on."""
    args = (operation.args_again if repeats else None) or operation.args
    return ("EVALSHA", operation.script.sha, len(operation.keys), *operation.keys, *args)


def requests(
    work: "Operation[T] | Generator[Any, Any, T]",
    repeats: bool = False,
    failed: Exception | None = None,
) -> Requests[T]:
    """Return a verb's work as requests, one after the other; the generator returns the verb's result.

    Args:
        work: The work.
        repeats: Whether the client itself may repeat a command, as redis-py's do by default.
        failed: How the first command of an operation has failed already; None: it is yet to be sent.
    """
    if isinstance(work, Operation):
        return _send(work, repeats, failed)
    return _follow(work, repeats)


def _follow(steps: Generator[Any, Any, T], repeats: bool) -> Requests[T]:
    """Carry out the steps of a verb, which sees the errors of the ones that fail."""
    try:
        step = next(steps)
        while True:
            try:
                if isinstance(step, Operation):
                    answer: Any = yield from _try(step, repeats)
                elif isinstance(step, Listen | Join | Give | Near | Compute):
                    answer = yield step
                elif isinstance(step, Command):
                    answer = yield from _send_command(step)
                else:
                    answer = yield from _send_all(step, repeats)
            except ConvergeError as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        steps.close()


def _try(operation: Operation[T], repeats: bool) -> Requests[T]:
    """Send an operation: the usual case without what knows what to do about failures."""
    try:
        reply = yield first_command(operation, repeats)
    except Exception as error:
        failed = error
    else:
        return operation.decode(reply)
    return (yield from _send(operation, repeats, failed))


def _send(operation: Operation[T], repeated: bool, failed: Exception | None = None) -> Requests[T]:
    args, args_again = operation.args, operation.args_again or operation.args
    reply = yield from _persist(
        lambda again: _evaluate(
            operation, args_again if again or repeated else args, again, None if again else failed
        )
    )
    return operation.decode(reply)


def _send_command(command: Command) -> Requests[Any]:
    return (yield from _persist(lambda _again: _once(command.parts)))


def _once(parts: Parts) -> Requests[Any]:
    return (yield parts)


def _persist(attempt: Callable[[bool], Requests[Any]]) -> Requests[Any]:
    """Send something, and send it again after a lost connection: every operation allows it."""
    for number, pause in enumerate((*PAUSES, None)):
        try:
            return (yield from attempt(number > 0))
        except (exceptions.ConnectionError, exceptions.TimeoutError) as error:
            if pause is None or _is_about_login(error):
                raise_for(error)
            yield Pause(pause * (0.5 + random.random()))  # noqa: S311 - spreads load, guards nothing
        except exceptions.RedisError as error:
            # BUSY: another script has run for too long; this one has not begun.
            if pause is None or not str(error).startswith("BUSY"):
                raise_for(error)
            yield Pause(pause)
    raise AssertionError("unreachable")  # pragma: no cover - the last pause is None


def _evaluate(
    operation: Operation[Any], args: Sequence[Argument], again: bool, failed: Exception | None
) -> Requests[Any]:
    script, rest = operation.script, (len(operation.keys), *operation.keys, *args)
    command = ("EVALSHA", script.sha, *rest)
    try:
        if failed is not None:
            raise failed
        return (yield (Alone(command) if again else command))
    except exceptions.NoScriptError:
        return (yield ("EVAL", script.text, *rest))


def _send_all(operations: Sequence[Operation[T]], repeats: bool) -> Requests[list[T]]:
    """Send operations together; those without a reply go again one by one, each with its own retries."""
    if len(operations) == 1:
        return [(yield from _try(operations[0], repeats))]
    commands = [first_command(operation, repeats) for operation in operations]
    lost: tuple[type[Exception], ...] = (exceptions.ConnectionError, exceptions.TimeoutError)
    try:
        replies = yield Batch(commands)
    except lost as error:
        replies = [error] * len(operations)
    results: list[T] = []
    for operation, reply in zip(operations, replies, strict=True):
        if isinstance(reply, exceptions.NoScriptError):
            results.append((yield from _send(operation, repeats)))
        elif isinstance(reply, lost):
            results.append((yield from _send(operation, True)))
        elif isinstance(reply, exceptions.RedisError):
            raise_for(reply)
        else:
            results.append(operation.decode(reply))
    return results


def _is_about_login(error: exceptions.RedisError) -> bool:
    # redis-py wraps some of them in a plain connection error, and cuts the first word off others.
    told = error.args[0] if error.args and isinstance(error.args[0], Exception) else error
    return isinstance(told, exceptions.AuthenticationError | exceptions.AuthorizationError) or str(
        told
    ).startswith(("NOAUTH", "WRONGPASS", "HELLO must be called with the client already authenticated"))


def raise_for(error: exceptions.RedisError) -> NoReturn:
    """Raise this package's error for one of redis-py."""
    text = str(error).rstrip(".")
    if _is_about_login(error):
        raise StoreAuthenticationError(
            f"the server refused the user name or password in the store's URL: {text}"
        ) from error
    if isinstance(error, exceptions.ConnectionError | exceptions.TimeoutError):
        raise StoreUnavailableError(
            f"the server cannot be reached, or did not answer in time: {text}. Whether a call that was under "
            "way has happened is not known; it may be made again"
        ) from error
    if isinstance(error, exceptions.OutOfMemoryError) or text.startswith("OOM"):
        raise StoreFullError(f"the server has reached its maxmemory, nothing was changed: {text}") from error
    raise StoreReplyError(f"the server answered with an error: {text}") from error
