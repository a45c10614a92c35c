"""A waiter: waits for one task after the other, until it is told how each has ended."""

from collections.abc import Callable, Sequence
from random import Random

from chaos.acts import Act, Pause, Program
from converge_redis.errors import ConvergeError

LAST_SECONDS = 10.0
"""The wait of a waiter that was stopped: by then all tasks have ended."""


def waiter(
    task_ids: Sequence[str], random: Random, stopped: Callable[[], bool], verb: str = "wait"
) -> Program:
    """Wait for tasks, one after the other.

    Args:
        task_ids: The tasks; they may be unknown yet.
        random: What decides how long to wait.
        stopped: Tells whether all tasks have ended, so that every wait must be told.
        verb: The manager's method that waits.
    """
    for task_id in task_ids:
        told = None
        while told is None:
            is_last = stopped()
            timeout = LAST_SECONDS if is_last else random.choice((0.5, 3.0, 20.0))
            try:
                told = yield Act(verb, {"task_id": task_id, "timeout": timeout})
            except ConvergeError:
                yield Pause(random.uniform(0.05, 0.3))
                continue
            if told is None:
                if is_last:
                    break
                yield Pause(random.uniform(0.1, 0.5))
