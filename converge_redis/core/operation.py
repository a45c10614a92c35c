"""Operations: what a method sends and how it reads the reply, as values that do no input or output.

`converge_redis.transport.delivery` sends them for both stores. A method that takes more than one round trip
is a generator of requests, a `Procedure`; `send` and `send_all` keep the types across ``yield``.
"""

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from converge_redis.core.scripts import Script

T = TypeVar("T")
Argument = str | bytes | int


@dataclass(slots=True)
class Operation(Generic[T]):
    """One call of one script.

    Every operation is safe to send again when its reply was lost: it only reads, or has the same effect twice
    as once, or carries a call id by which the script recognises that it has run already.

    Attributes:
        script: The script.
        keys: Its KEYS.
        args: Its ARGV.
        decode: Turns the reply into the method's result, or raises the method's error.
        retry_args: The ARGV for sending the call again; None: the same.
    """

    script: Script
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    decode: Callable[[Any], T]
    retry_args: tuple[Argument, ...] | None = None


@dataclass(slots=True)
class OnListener(Generic[T]):
    """Run a coroutine function on the listener, in the listener's event loop; evaluates to its result."""

    call: Callable[[Any], Coroutine[Any, Any, T]]


@dataclass(slots=True)
class WithListener(Generic[T]):
    """Call a plain function with the listener, from whatever thread runs the procedure."""

    call: Callable[[Any], T]


@dataclass(slots=True)
class Emit(Generic[T]):
    """Hand one result of a `Stream` to the caller that iterates over it."""

    item: T


@dataclass(slots=True)
class Command(Generic[T]):
    """A plain command that only reads: GET of one key, and SCAN, which no script may call.

    Attributes:
        parts: The command and its arguments.
        decode: Turns the reply into the result.
    """

    parts: tuple[Argument, ...]
    decode: Callable[[Any], T]


class Unfinished(Exception):  # noqa: N818 - it is handled by the delivery, and reaches no caller
    """Raised by a `decode` whose reply asks for further calls; the procedure makes them.

    So a method that nearly always takes one call is one `Operation`, and costs no more than that.
    """

    def __init__(self, procedure: "Procedure[Any]") -> None:
        super().__init__()
        self.procedure = procedure


@dataclass(slots=True)
class ReadNear:
    """Evaluates to the entries of the near cache; None where it is off."""


@dataclass(slots=True)
class Compute:
    """Call a function of the caller's, and await its result on asyncio; evaluates to a `Computed`."""

    function: Callable[[], Any]


@dataclass(slots=True)
class Computed:
    """What a function of the caller's returned, or the error that it raised."""

    value: Any
    error: Exception | None = None


Request = (
    Operation[Any]
    | Sequence[Operation[Any]]
    | OnListener[Any]
    | WithListener[Any]
    | Command[Any]
    | ReadNear
    | Compute
)
Procedure = Generator[Request, Any, T]
Stream = Generator[Request | Emit[T], Any, None]
Single = Operation[T] | Command[T]
Call = Single[T] | Procedure[T]


def send(single: Single[T]) -> Procedure[T]:
    """Send one operation or command, and return its result: ``task = yield from send(...)``."""
    result: T = yield single
    return result


def send_all(operations: Sequence[Operation[T]]) -> Procedure[list[T]]:
    """Send operations together, in one write where they share a connection, and return their results."""
    results: list[T] = yield operations
    return results


def compute(function: Callable[[], Any]) -> Procedure[Computed]:
    """Call a function of the caller's; an error that it raises is returned, not raised."""
    computed: Computed = yield Compute(function)
    return computed


def command(*parts: Argument) -> Command[Any]:
    """Return a plain command that only reads, and returns its reply as it is."""
    return Command(parts, lambda reply: reply)
