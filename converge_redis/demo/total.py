"""The total of the results of many files."""

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
        imports: For each imported module, the number of files that import it.
    """

    parsed: int = 0
    functions: int = 0
    classes: int = 0
    lines: int = 0
    imports: Counter[str] = field(default_factory=Counter)

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of one file; a failed one adds nothing."""
        state, result = outcome
        if state != TaskState.COMPLETED:
            return
        self.parsed += 1
        self.functions += result["definitions"]["functions"]
        self.classes += result["definitions"]["classes"]
        self.lines += result["lines"]
        self.imports.update(result["imports"])

    def to_json(self) -> dict[str, Any]:
        """Return the total as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Make a total from the result of `to_json`."""
        return cls(**{**data, "imports": Counter(data["imports"])})
