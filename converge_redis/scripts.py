"""The Lua scripts: one file a transition, shared parts spliced in, SHA computed at import.

A line ``--@include shared/record`` stands for the text of ``lua/shared/record.lua``, once in each script. Of
shared parts, a script gets only the definitions that it uses (docs/decisions/lean-scripts.md).
"""

import hashlib
import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

_INCLUDE = re.compile(r"^--@include (\S+)$")
_DEFINES = re.compile(r"local (?:function )?([\w, ]+)")
_NAMES = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_GOES_ON = (" ", "end", "}", ")", "else", "\n")
"""With what a line begins that belongs to the statement above; statements begin at the left edge."""


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
        self.text = _lean(_COMMENT.sub("", "".join(_lines(name, set()))))
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


def _lean(text: str) -> str:
    """Leave out the locals and functions of a script that nothing below them names."""
    kept: list[str] = []
    named: set[str] = set()
    for statement in reversed(list(_statements(text))):
        defines = _DEFINES.match(statement)
        if defines is None or not named.isdisjoint(_NAMES.findall(defines[1])):
            kept.append(statement)
            named.update(_NAMES.findall(statement))
    return "".join(reversed(kept))


def _statements(text: str) -> Iterator[str]:
    statement = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith(_GOES_ON):
            yield statement
            statement = ""
        statement += line
    yield statement
