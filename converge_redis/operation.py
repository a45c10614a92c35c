"""Operations: what a verb sends and how it reads the answer, as values that do no input or output.

The stores send them, as `converge_redis.sending` tells. A verb that takes more than one round trip is a
generator of operations (`Steps`), which both stores drive; `ask` and `ask_all` keep the types across
``yield``.
"""

from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from converge_redis.scripts import Script
from converge_redis.task import Task

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


class Listening(Protocol):
    """What a verb may ask of the listener of its process (`converge_redis.listener`)."""

    async def wait_until_done(
        self, task_ids: Sequence[str], timeout: float | None, enough: int
    ) -> dict[str, Task]:
        """Wait until `enough` of the tasks are terminal or unknown; see `converge_redis.listener`."""
        ...

    async def work_after(self, heard: int | None, seconds: float) -> int:
        """Wait for an announcement of work; see `converge_redis.listener`."""
        ...


@dataclass(slots=True)
class Listen(Generic[T]):
    """Something that a verb asks of the listener."""

    act: Callable[[Listening], Coroutine[Any, Any, T]]


@dataclass(slots=True)
class Command:
    """A plain command that only reads, for what no script may do: SCAN."""

    parts: tuple[Argument, ...]


Request = Operation[Any] | Sequence[Operation[Any]] | Listen[Any] | Command
Steps = Generator[Request, Any, T]


def ask(operation: Operation[T]) -> Steps[T]:
    """Send one operation and return its result: ``task = yield from ask(...)``."""
    result: T = yield operation
    return result


def ask_all(operations: Sequence[Operation[T]]) -> Steps[list[T]]:
    """Send operations together, in one write where they share a connection, and return their results."""
    results: list[T] = yield operations
    return results


def listen(act: Callable[[Listening], Coroutine[Any, Any, T]]) -> Steps[T]:
    """Have the process's listener do something, and return what it returns."""
    result: T = yield Listen(act)
    return result


def command(*parts: Argument) -> Steps[Any]:
    """Send a plain command that only reads, and return its reply as it is."""
    reply: Any = yield Command(parts)
    return reply
