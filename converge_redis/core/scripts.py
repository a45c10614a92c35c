"""Lua scripts: one file per transition, shared parts spliced in; the text and its SHA are made on first use.

``Script("tasks/claim")`` is ``tasks/lua/claim.lua`` of this package. A line ``--@include tasks/record``
stands for the text of ``tasks/lua/shared/record.lua``, once per script. Redis runs the whole text at each
call, so a script gets only those definitions of its shared parts that it uses. ``lazy.expire(…)`` calls
``expire``; a definition that is named only in this way is made at its first call
(``docs/decisions/lean-scripts.md``).
"""

import hashlib
import re
from collections.abc import Iterator, Set
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_INCLUDE = re.compile(r"^--@include (\S+)$")
_COMMENT = re.compile(r"^ *--.*\n", re.MULTILINE)
_DEFINES = re.compile(r"local (?:function )?([\w, ]+)")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')
_LAZY = re.compile(r"\blazy\.(\w+)")
_CONTINUATION = (" ", "end", "}", ")", "else", "\n")
"""The beginnings of lines that belong to the statement above; a statement begins at the left edge."""


class Script:
    """One Lua script.

    Attributes:
        name: The package and the file in its ``lua`` folder, without the suffix: ``"tasks/claim"``.
        text: The complete source, shared parts included.
        sha: The SHA-1 of the source, by which EVALSHA names it.
    """

    __slots__ = ("name", "sha", "text")
    text: str
    sha: str

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, name: str) -> str:
        """Make the text and the SHA when one of them is read for the first time."""
        if name not in {"sha", "text"}:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        shared: list[str] = []
        own = _splice(self.name, shared, set())
        self.text = _tree_shake(_COMMENT.sub("", "".join(shared)), _COMMENT.sub("", own))
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        return self.text if name == "text" else self.sha

    def __repr__(self) -> str:
        return f"Script({self.name!r})"


@cache
def lua_root() -> Traversable:
    """Return the folder below which the sources are, in ``<package>/lua`` and ``<package>/lua/shared``."""
    return files("converge_redis")


def _splice(name: str, shared: list[str], seen: set[str], folder: str = "lua") -> str:
    """Return a file's own text; the parts that it includes are appended to `shared`."""
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


def _tree_shake(shared: str, own: str) -> str:
    """Keep the definitions that a script uses; wrap those that it uses only lazily."""
    eager: list[str] = []
    lazy: list[str] = []
    used, used_lazily = _names(own), set(_LAZY.findall(own))
    for statement in reversed(list(_statements(shared))):
        defined = _defined(statement)
        if not defined or defined & used:
            eager.append(statement)
            used |= _names(statement)
        elif defined & used_lazily:
            lazy.append(statement)
            used_lazily |= _names(statement)
        else:
            continue
        used_lazily |= set(_LAZY.findall(statement))
    lazy_names = {name for statement in lazy for name in _defined(statement)}
    head = _lazy_calls("".join(reversed(eager)), lazy_names)
    body = _lazy_calls(own, lazy_names)
    if not lazy_names:
        return head + body
    definitions = "".join(_lazy_calls(statement, set()) for statement in reversed(lazy))
    called = sorted(lazy_names & set(_LAZY.findall("".join(eager) + own)))
    table = ", ".join(f"{name} = {name}" for name in called)
    return (
        f"local lazy_table, lazy\n{head}"
        f"function lazy()\nif not lazy_table then\n{definitions}lazy_table = {{ {table} }}\nend\n"
        f"return lazy_table\nend\n{body}"
    )


def _lazy_calls(text: str, lazy_names: Set[str]) -> str:
    return _LAZY.sub(lambda name: f"lazy().{name[1]}" if name[1] in lazy_names else name[1], text)


def _names(text: str) -> set[str]:
    return set(_NAME.findall(_TEXT.sub("", text)))


def _defined(statement: str) -> set[str]:
    defines = _DEFINES.match(statement)
    return _names(defines[1]) if defines else set()


def _statements(text: str) -> Iterator[str]:
    statement = ""
    for line in text.splitlines(keepends=True):
        if not line.startswith(_CONTINUATION):
            yield statement
            statement = ""
        statement += line
    yield statement
