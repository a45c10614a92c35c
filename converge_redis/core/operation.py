"""Operations: what a verb sends and how it reads the answer, as values that do no input or output.

The stores send them, as `converge_redis.transport.delivery` tells. A verb that takes more than one round trip is a
generator of operations (`Steps`), which both stores drive; `ask` and `ask_all` keep the types across
``yield``.
"""

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from converge_redis.core.scripts import Script

if TYPE_CHECKING:
    from converge_redis.notifications.listener import Listener
    from converge_redis.notifications.near_entries import NearCopies
    from converge_redis.tasks.claim_queue import Claimer

T = TypeVar("T")
Argument = str | bytes | int


@dataclass(slots=True)
class Operation(Generic[T]):
    """One call of one script.

    Every operation is safe to send again when its reply was lost: it only reads, or has the same effect
    once as twice, or carries a call id by which the script knows that it has done this already.

    Attributes:
        script: The script.
        keys: Its KEYS.
        args: Its ARGV.
        decode: Turns the reply into the verb's result, or raises the verb's error.
        args_again: The ARGV for sending the call again; None: the same.
    """

    script: Script
    keys: tuple[str, ...]
    args: tuple[Argument, ...]
    decode: Callable[[Any], T]
    args_again: tuple[Argument, ...] | None = None


@dataclass(slots=True)
class Listen(Generic[T]):
    """Something that a verb waits for, in the event loop of the listener."""

    act: Callable[["Listener"], Coroutine[Any, Any, T]]


@dataclass(slots=True)
class Join:
    """Ask for a claimer that may wait for what it may have; the answer is a `Claimer`."""

    visible: tuple[Argument, ...]


@dataclass(slots=True)
class Give(Generic[T]):
    """One of the results of a verb that has many, for whoever iterates over them."""

    item: T


@dataclass(slots=True)
class Command:
    """A plain command that only reads, for what no script may do: SCAN."""

    parts: tuple[Argument, ...]


@dataclass(slots=True)
class Near:
    """Ask for the copies that the process keeps of what it has read; None: it keeps none."""


@dataclass(slots=True)
class Compute:
    """Have a function of the caller called, and awaited on asyncio; the answer is a `Computed`."""

    function: Callable[[], Any]


@dataclass(slots=True)
class Computed:
    """What a function of the caller has returned, or the error that it has raised."""

    value: Any
    error: Exception | None = None


Request = Operation[Any] | Sequence[Operation[Any]] | Listen[Any] | Join | Command | Near | Compute
Steps = Generator[Request, Any, T]
Gives = Generator[Request | Give[T], Any, None]


def ask(operation: Operation[T]) -> Steps[T]:
    """Send one operation and return its result: ``task = yield from ask(...)``."""
    result: T = yield operation
    return result


def ask_all(operations: Sequence[Operation[T]]) -> Steps[list[T]]:
    """Send operations together, in one write where they share a connection, and return their results."""
    results: list[T] = yield operations
    return results


def listen(act: Callable[["Listener"], Coroutine[Any, Any, T]]) -> Steps[T]:
    """Have something done in the event loop of the listener, and return what it returns."""
    result: T = yield Listen(act)
    return result


def join(visible: tuple[Argument, ...]) -> Steps["Claimer"]:
    """Return a claimer that may wait for what it may have; it has to leave at the end."""
    claimer: Claimer = yield Join(visible)
    return claimer


def near() -> Steps["NearCopies | None"]:
    """Return the copies that the process keeps of what it has read; None: it keeps none."""
    copies: NearCopies | None = yield Near()
    return copies


def compute(function: Callable[[], Any]) -> Steps[Computed]:
    """Call a function of the caller's, who waits for it; its error does not end the steps."""
    computed: Computed = yield Compute(function)
    return computed


def then_forget(work: "Operation[T] | Steps[T]", *keys: str) -> Steps[T]:
    """Carry out a write, and drop the process's own copies of what depends on these keys of Redis.

    The server's message about the change may come later than the reply, and who writes reads what it wrote.
    """
    result: T = yield from (ask(work) if isinstance(work, Operation) else work)
    copies = yield from near()
    if copies is not None:
        copies.drop(key.encode() for key in keys)
    return result


def command(*parts: Argument) -> Steps[Any]:
    """Send a plain command that only reads, and return its reply as it is."""
    reply: Any = yield Command(parts)
    return reply
