"""Violations: what an audit finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Violation:
    """A stored state that breaks a promise.

    Attributes:
        kind: The kind of violation, such as ``"missing_entry"``.
        id: The id of the task, pool or lane.
        detail: Where, or how.
    """

    kind: str
    id: str
    detail: str
