"""Programs of agents: generators that say what to do next, for blocking managers and for those on asyncio.

Every call is recorded. An error of the package is recorded, and thrown into the program.
"""

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from chaos.history import Outcome, Recorder
from converge_redis import AsyncTaskManager, Task, TaskManager
from converge_redis.errors import ConvergeError


@dataclass(slots=True)
class Act:
    """Call a verb.

    Attributes:
        verb: The manager's method; ``"wait"`` waits for one task.
        arguments: Its arguments.
        recorded: What is recorded of them; None: all.
    """

    verb: str
    arguments: dict[str, Any]
    recorded: dict[str, Any] | None = None

    def start(self, recorder: Recorder) -> Any:
        """Begin to record the call."""
        return recorder.call(self.verb, **(self.arguments if self.recorded is None else self.recorded))


@dataclass(slots=True)
class Pause:
    """Let time pass."""

    seconds: float


Program = Generator[Act | Pause, Any, None]


def act(verb: str, **arguments: Any) -> Act:
    """Call a verb, and record all of its arguments."""
    return Act(verb, arguments)


def run(program: Program, manager: TaskManager, recorder: Recorder) -> None:
    """Run a program with a blocking manager."""
    answer: Any = None
    error: ConvergeError | None = None
    while (todo := _next(program, answer, error)) is not None:
        answer, error = None, None
        if isinstance(todo, Pause):
            time.sleep(todo.seconds)
            continue
        try:
            with todo.start(recorder) as outcome:
                answer = getattr(manager, todo.verb)(**todo.arguments)
                _note(outcome, answer)
        except ConvergeError as caught:
            error = caught


async def run_async(program: Program, manager: AsyncTaskManager, recorder: Recorder) -> None:
    """Run a program with a manager on asyncio."""
    answer: Any = None
    error: ConvergeError | None = None
    while (todo := _next(program, answer, error)) is not None:
        answer, error = None, None
        if isinstance(todo, Pause):
            await asyncio.sleep(todo.seconds)
            continue
        try:
            with todo.start(recorder) as outcome:
                answer = await getattr(manager, todo.verb)(**todo.arguments)
                _note(outcome, answer)
        except ConvergeError as caught:
            error = caught


def _next(program: Program, answer: Any, error: ConvergeError | None) -> Act | Pause | None:
    try:
        return program.send(answer) if error is None else program.throw(error)
    except StopIteration:
        return None


def _note(outcome: Outcome, answer: Any) -> None:
    """Set what is recorded of an answer."""
    ahead = time.time_ns() - time.monotonic_ns()
    if isinstance(answer, Task):
        outcome.result = seen(answer)
    elif isinstance(answer, list) and answer and isinstance(answer[0], Task):
        claimed = [
            (task.id, task.claim_token, round((task.claimed_at or 0.0) * 1e9) - ahead) for task in answer
        ]
        outcome.result = claimed
    else:
        outcome.result = answer


def seen(task: Task | None) -> list[Any] | None:
    """Return what is recorded of a task that was read (`chaos.model.Seen`)."""
    return None if task is None else [task.state, task.assigned_to, task.claim_token, task.result]
