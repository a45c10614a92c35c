"""Programs of agents: generators of requests and pauses, run with a blocking or an asyncio manager.

Every request is recorded in the history. An error of the package is recorded and thrown into the program.
"""

import asyncio
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from chaos.history import Recorder
from converge_redis import AsyncTaskManager, Task, TaskManager
from converge_redis.errors import ConvergeError


@dataclass(slots=True)
class Request:
    """A call of a manager's method.

    Attributes:
        method: The name of the method.
        arguments: Its keyword arguments.
        recorded: The arguments as recorded in the history; None: all.
    """

    method: str
    arguments: dict[str, Any]
    recorded: dict[str, Any] | None = None

    def start(self, recorder: Recorder) -> Any:
        """Begin to record the call."""
        return recorder.call(self.method, **(self.arguments if self.recorded is None else self.recorded))


@dataclass(slots=True)
class Pause:
    """A pause between requests."""

    seconds: float


Program = Generator[Request | Pause, Any, None]


def request(method: str, **arguments: Any) -> Request:
    """Make a request whose arguments are all recorded."""
    return Request(method, arguments)


def run(program: Program, manager: TaskManager, recorder: Recorder) -> None:
    """Run a program with a blocking manager."""
    answer: Any = None
    error: ConvergeError | None = None
    while (step := _next(program, answer, error)) is not None:
        answer, error = None, None
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            continue
        try:
            with step.start(recorder) as call:
                answer = getattr(manager, step.method)(**step.arguments)
                call.result = _recorded(answer)
        except ConvergeError as caught:
            error = caught


async def run_async(program: Program, manager: AsyncTaskManager, recorder: Recorder) -> None:
    """Run a program with an asyncio manager."""
    answer: Any = None
    error: ConvergeError | None = None
    while (step := _next(program, answer, error)) is not None:
        answer, error = None, None
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            continue
        try:
            with step.start(recorder) as call:
                answer = await getattr(manager, step.method)(**step.arguments)
                call.result = _recorded(answer)
        except ConvergeError as caught:
            error = caught


def _next(program: Program, answer: Any, error: ConvergeError | None) -> Request | Pause | None:
    try:
        return program.send(answer) if error is None else program.throw(error)
    except StopIteration:
        return None


def _recorded(answer: Any) -> Any:
    """Return what the history records of an answer."""
    offset = time.time_ns() - time.monotonic_ns()
    if isinstance(answer, Task):
        return task_fields(answer)
    if isinstance(answer, list) and answer and isinstance(answer[0], Task):
        return [
            (task.id, task.claim_token, round((task.claimed_at or 0.0) * 1e9) - offset) for task in answer
        ]
    return answer


def task_fields(task: Task | None) -> list[Any] | None:
    """Return the fields of a task that the history records (`chaos.model.ReadTask`)."""
    return None if task is None else [task.state, task.assigned_to, task.claim_token, task.result]
