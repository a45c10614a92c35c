"""What an audit finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """Something stored that breaks a promise.

    Attributes:
        kind: What is wrong, in a word or two: ``"missing_entry"``.
        id: What it is wrong with: the id of a task, a pool, a lane.
        detail: Where, or how.
    """

    kind: str
    id: str
    detail: str
