"""The linearizability check: is there an order of overlapping calls that explains all of their results?

The search of Wing & Gong (1993) for one object, with Lowe's (2017) memoization of configurations: the set of
operations that are done, and the state that they lead to. Linearizability is local: a history of many tasks
is linearizable if that of each task is, so each task is searched alone.
"""

from collections.abc import Sequence

from chaos.history import NEVER
from chaos.model import Op, State, next_states

MAX_CONFIGURATIONS = 200_000


class SearchTooLargeError(Exception):
    """There are too many orders to try."""


def is_linearizable(operations: Sequence[Op], lease: int) -> bool:
    """Return whether some order of the operations, each between its start and its end, follows the model.

    Operations with an unknown outcome may be left out.

    Args:
        operations: The operations on one task.
        lease: The length of the task's lease, in nanoseconds.

    Raises:
        SearchTooLargeError: The search visited `MAX_CONFIGURATIONS` without a result.
    """
    ops = sorted(operations, key=lambda op: op.started)
    required = sum(1 << place for place, op in enumerate(ops) if op.outcome != "unknown")
    start = (0, State())
    visited = {start}
    stack = [start]
    while stack:
        done, state = stack.pop()
        if done & required == required:
            return True
        for place in _candidates(ops, done):
            for after in next_states(state, ops[place], lease):
                configuration = (done | 1 << place, after)
                if configuration not in visited:
                    visited.add(configuration)
                    stack.append(configuration)
        if len(visited) > MAX_CONFIGURATIONS:
            raise SearchTooLargeError
    return False


def _candidates(ops: Sequence[Op], done: int) -> list[int]:
    """Return the operations that may come next: those that started before any other pending one ended."""
    pending = [place for place in range(len(ops)) if not done >> place & 1]
    first_end = min((ops[place].ended for place in pending), default=NEVER)
    return [place for place in pending if ops[place].started <= first_end]
