"""What the results of many files add up to."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from converge_redis.demo.analysis import Outcome
from converge_redis.tasks.model import TaskState


@dataclass(slots=True)
class Total:
    """Sums over files.

    Attributes:
        parsed: Files that were parsed.
        functions: Functions defined in them.
        classes: Classes defined in them.
        lines: Their lines.
        imports: For each module that is imported, the number of files that do.
    """

    parsed: int = 0
    functions: int = 0
    classes: int = 0
    lines: int = 0
    imports: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Add what came out for one file; one that failed adds nothing."""
        state, result = outcome
        if state != TaskState.COMPLETED:
            return
        self.parsed += 1
        self.functions += result["definitions"]["functions"]
        self.classes += result["definitions"]["classes"]
        self.lines += result["lines"]
        self.imports.update(result["imports"])

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Make it of what `to_json` gave."""
        return cls(**{**data, "imports": Counter(data["imports"])})
