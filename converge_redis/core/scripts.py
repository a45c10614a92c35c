"""The Lua scripts: one file a transition, shared parts spliced in, SHA computed at import.

``Script("tasks/claim")`` is ``tasks/lua/claim.lua`` of this package. A line ``--@include tasks/record`` stands for
the text of ``tasks/lua/shared/record.lua``, once in each script.
What a script defines is made anew each time that it runs, so of shared parts it gets only what it uses.
``rarely.expire(…)`` is ``expire(…)``; what is named in this way alone is made when it is first called
(docs/decisions/lean-scripts.md).
"""

import hashlib
import re
from collections.abc import Iterator, Set
from importlib.resources import files
from importlib.resources.abc import Traversable

_INCLUDE = re.compile(r"^--@include (\S+)$")
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_DEFINES = re.compile(r"local (?:function )?([\w, ]+)")
_NAMES = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_RARELY = re.compile(r"\brarely\.(\w+)")
_GOES_ON = (" ", "end", "}", ")", "else", "\n")
"""With what a line begins that belongs to the statement above; statements begin at the left edge."""


class Script:
    """One Lua script.

    Attributes:
        name: The package and the file in its ``lua`` folder, without the ending: ``"tasks/claim"``.
        text: The complete source, shared parts included.
        sha: The SHA-1 of the source, by which a server knows it.
    """

    __slots__ = ("name", "sha", "text")

    def __init__(self, name: str) -> None:
        self.name = name
        shared: list[str] = []
        own = _splice(name, shared, set())
        self.text = _lean(_COMMENT.sub("", "".join(shared)), _COMMENT.sub("", own))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


def lua_root() -> Traversable:
    """Return the folder below which the Lua sources are, in ``<package>/lua`` and ``<package>/lua/shared``."""
    return files("converge_redis")


def _splice(name: str, shared: list[str], seen: set[str], folder: str = "lua") -> str:
    """Return a file's own text; what it includes is added to `shared` first."""
    own = ""
    package, file = name.split("/")
    source = lua_root().joinpath(package, folder, f"{file}.lua").read_text("utf-8")
    for line in source.splitlines(keepends=True):
        part = _INCLUDE.match(line.rstrip())
        if part is None:
            own += line
        elif part[1] not in seen:
            seen.add(part[1])
            shared.append(_splice(part[1], shared, seen, "lua/shared"))
    return own


def _lean(shared: str, own: str) -> str:
    """Keep the definitions that a script uses, and have those that it uses rarely made on demand."""
    usual: list[str] = []
    rare: list[str] = []
    named, named_rarely = _names(own), set(_RARELY.findall(own))
    for statement in reversed(list(_statements(shared))):
        defined = _defined(statement)
        uses = _names(statement)
        if not defined or defined & named:
            usual.append(statement)
            named |= uses
        elif defined & named_rarely:
            rare.append(statement)
            named_rarely |= uses
        else:
            continue
        named_rarely |= set(_RARELY.findall(statement))
    on_demand = {name for statement in rare for name in _defined(statement)}
    body = _rarely_calls("".join(reversed(usual)), on_demand)
    end = _rarely_calls(own, on_demand)
    if not on_demand:
        return body + end
    made = "".join(_rarely_calls(statement, set()) for statement in reversed(rare))
    asked = sorted(on_demand & set(_RARELY.findall("".join(usual) + own)))
    listed = ", ".join(f"{name} = {name}" for name in asked)
    return (
        f"local made_rarely, rarely\n{body}"
        f"function rarely()\nif not made_rarely then\n{made}made_rarely = {{ {listed} }}\nend\n"
        f"return made_rarely\nend\n{end}"
    )


def _rarely_calls(text: str, on_demand: Set[str]) -> str:
    return _RARELY.sub(lambda name: f"rarely().{name[1]}" if name[1] in on_demand else name[1], text)


def _names(text: str) -> set[str]:
    return set(_NAMES.findall(_TEXT.sub("", text)))


def _defined(statement: str) -> set[str]:
    defines = _DEFINES.match(statement)
    return _names(defines[1]) if defines else set()


def _statements(text: str) -> Iterator[str]:
    statement = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith(_GOES_ON):
            yield statement
            statement = ""
        statement += line
    yield statement
