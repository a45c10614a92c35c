"""Is there an order of overlapping calls, one after the other, in which each was told the truth?

The search of Wing & Gong (1993) for one object, with Lowe's (2017) memory of configurations: a set of
operations that are done, and the state that they have left. Linearizability is local: a history of many tasks
is linearizable when that of each task is, so each task is searched alone.
"""

from collections.abc import Sequence

from chaos.history import NEVER
from chaos.model import Op, State, steps

MOST_CONFIGURATIONS = 200_000


class SearchTooLargeError(Exception):
    """There are too many orders to try."""


def is_linearizable(operations: Sequence[Op], lease: int) -> bool:
    """Tell whether some order of the operations, each between its begin and its end, follows the model.

    Operations whose outcome is unknown may be left out.

    Args:
        operations: What was done to one task.
        lease: The length of the task's lease, in nanoseconds.

    Raises:
        SearchTooLargeError: It would take too long to tell.
    """
    ops = sorted(operations, key=lambda op: op.begun)
    must = sum(1 << place for place, op in enumerate(ops) if op.ending != "unknown")
    start = (0, State())
    seen = {start}
    stack = [start]
    while stack:
        done, state = stack.pop()
        if done & must == must:
            return True
        for place in _next(ops, done):
            for after in steps(state, ops[place], lease):
                found = (done | 1 << place, after)
                if found not in seen:
                    seen.add(found)
                    stack.append(found)
        if len(seen) > MOST_CONFIGURATIONS:
            raise SearchTooLargeError
    return False


def _next(ops: Sequence[Op], done: int) -> list[int]:
    """Return the operations that may come next: those that no other one had ended before."""
    open_places = [place for place in range(len(ops)) if not done >> place & 1]
    first_end = min((ops[place].ended for place in open_places), default=NEVER)
    return [place for place in open_places if ops[place].begun <= first_end]
