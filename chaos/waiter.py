"""A waiter: waits for one task after the other until each has ended."""

from collections.abc import Callable, Sequence
from random import Random

from chaos.programs import Pause, Program, Request
from converge_redis.errors import ConvergeError

FINAL_TIMEOUT = 10.0
"""Seconds of a wait that starts after the fleet was stopped, when all tasks have ended."""


def waiter(
    task_ids: Sequence[str], random: Random, is_stopped: Callable[[], bool], method: str = "wait"
) -> Program:
    """Wait for tasks, one after the other.

    Args:
        task_ids: The tasks; they may not be submitted yet.
        random: Chooses the time-outs.
        is_stopped: Returns whether all tasks have ended, so that every wait must return its task.
        method: The manager's method that waits.
    """
    for task_id in task_ids:
        task = None
        while task is None:
            is_final = is_stopped()
            timeout = FINAL_TIMEOUT if is_final else random.choice((0.5, 3.0, 20.0))
            try:
                task = yield Request(method, {"task_id": task_id, "timeout": timeout})
            except ConvergeError:
                yield Pause(random.uniform(0.05, 0.3))
                continue
            if task is None:
                if is_final:
                    break
                yield Pause(random.uniform(0.1, 0.5))
