"""The Lua scripts: one file a transition, shared parts spliced in, SHA computed at import.

A line ``--@include shared/record`` stands for the text of ``lua/shared/record.lua``, once in each script.
"""

import hashlib
import re
from importlib.resources import files
from importlib.resources.abc import Traversable

_INCLUDE = re.compile(r"^--@include (\S+)$")


class Script:
    """One Lua script.

    Attributes:
        name: Its file below ``lua/``, without the ending: ``"task/claim"``.
        text: The complete source, shared parts included.
        sha: The SHA-1 of the source, by which a server knows it.
    """

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = "".join(_lines(name, set()))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


def folder() -> Traversable:
    """Return the folder that holds the Lua sources."""
    return files("converge_redis") / "lua"


def _lines(name: str, seen: set[str]) -> list[str]:
    seen.add(name)
    lines: list[str] = []
    for line in folder().joinpath(f"{name}.lua").read_text("utf-8").splitlines(keepends=True):
        part = _INCLUDE.match(line.rstrip())
        if part is None:
            lines.append(line)
        elif part[1] not in seen:
            lines += _lines(part[1], seen)
    return lines
