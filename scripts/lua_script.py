"""One Lua script as the server receives it, and the checks of its syntax tree."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luaparser import ast
from luaparser import astnodes as lua
from lupa import lua51

# Fewer than Redis has: the fake server lacks cmsgpack, bit and struct; load and print have no use.
GLOBALS = {"ARGV", "KEYS", "cjson", "math", "redis", "string", "table"}
GLOBALS |= {"assert", "error", "ipairs", "next", "pairs", "pcall", "select"}
GLOBALS |= {"tonumber", "tostring", "type", "unpack"}
REDIS_FUNCTIONS = {"call", "error_reply", "pcall", "status_reply"}
FORBIDDEN_COMMANDS = {"FLUSHALL", "FLUSHDB", "KEYS", "RANDOMKEY", "SCAN"}

INCLUDE = re.compile(r"--@include (\S+)")
_SYNTAX_ERROR = re.compile(r"]:(\d+): (.*)")


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """A line of a source file."""

    path: Path
    line: int


@dataclass(frozen=True, order=True, slots=True)
class Problem:
    """A problem and its place."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place.path}:{self.place.line}: {self.message}"


@dataclass(slots=True)
class Variable:
    """A local variable or function of a script."""

    name: str
    place: Place
    used: bool
    in_block: bool
    is_redis_call: bool


def _part(folder: Path, name: str) -> Path:
    """Return the file of an include: ``tasks/record`` is ``tasks/lua/shared/record.lua``."""
    package, _, part = name.partition("/")
    return folder / package / "lua" / "shared" / f"{part}.lua"


class Script:
    """A complete script.

    Attributes:
        text: The text that the server receives, with all parts.
        variables: Its local variables and functions.
        problems: Its problems, without unused variables.
        files: Its file and those of its parts.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.problems: set[Problem] = set()
        self.variables: list[Variable] = []
        self.files: set[Path] = set()
        self._folder = folder
        self._places: list[Place] = []
        self._lines: list[str] = []
        self._scopes: list[dict[str, Variable]] = []
        self._head_bindings: set[int] = set()
        self._splice(path)
        self.text = "".join(self._lines)
        self._check()

    def _splice(self, path: Path) -> None:
        self.files.add(path)
        for number, line in enumerate(path.read_text("utf-8").splitlines(keepends=True), 1):
            place = Place(path, number)
            match = INCLUDE.fullmatch(line.rstrip())
            part = _part(self._folder, match[1]) if match else None
            if part is None:
                self._places.append(place)
                self._lines.append(line.replace("lazy.", ""))  # the mark of a lazy definition
            elif not part.is_file():
                self.problems.add(Problem(place, f"no such file: {part}"))
            elif part not in self.files:
                self._splice(part)

    def _check(self) -> None:
        try:
            lua51.LuaRuntime().compile(self.text)
        except lua51.LuaSyntaxError as error:
            match = _SYNTAX_ERROR.search(str(error))
            line, message = (int(match[1]), match[2]) if match else (1, str(error))
            self._report(line, f"syntax error: {message}")
            return
        statements = ast.parse(self.text).body.body
        self._find_head_bindings(statements)
        with self._scope():
            self._visit(statements, 1)

    def _report(self, line: int, message: str) -> None:
        self.problems.add(Problem(self._place(line), message))

    def _place(self, line: int) -> Place:
        return self._places[min(line, len(self._places)) - 1]

    def _find_head_bindings(self, statements: list[Any]) -> None:
        """Find each ``KEYS[n]`` in a ``local … =`` before all other statements of its file."""
        past_head: set[Path] = set()
        for statement in statements:
            path = self._place(statement.line).path
            if not isinstance(statement, lua.LocalAssign):
                past_head.add(path)
            elif path not in past_head:
                for value in statement.values:
                    if _is_keys_entry(value):
                        self._head_bindings.add(id(value))

    @contextmanager
    def _scope(self) -> Iterator[None]:
        self._scopes.append({})
        yield
        self._scopes.pop()

    def _declare(self, name: str, line: int, *, used: bool = False, is_redis_call: bool = False) -> None:
        variable = Variable(name, self._place(line), used, len(self._scopes) > 1, is_redis_call)
        self.variables.append(variable)
        self._scopes[-1][name] = variable

    def _find(self, name: str) -> Variable | None:
        return next((scope[name] for scope in reversed(self._scopes) if name in scope), None)

    def _visit(self, node: Any, line: int) -> None:
        """Check a node of the syntax tree and its children; ``line`` is that of nodes without a line."""
        if isinstance(node, list):
            for item in node:
                self._visit(item, line)
        elif isinstance(node, lua.Statement) and not isinstance(node, lua.Call | lua.Invoke):
            self._visit_statement(node, node.line or line)
        elif isinstance(node, lua.Node):
            self._visit_expression(node, node.line or line)

    def _visit_parts(self, node: Any, line: int) -> None:
        for part in vars(node).values():
            self._visit(part, line)

    def _visit_statement(self, node: Any, line: int) -> None:
        match node:
            case lua.LocalAssign():
                self._visit(node.values, line)
                calls = [_field(value, "redis") in {"call", "pcall"} for value in node.values]
                calls += [False] * len(node.targets)
                for target, call in zip(node.targets, calls, strict=False):
                    self._declare(target.id, line, is_redis_call=call)
            case lua.Assign():
                self._visit(node.values, line)
                for target in node.targets:
                    self._visit_target(target, line)
            case lua.LocalFunction():
                self._declare(node.name.id, line)
                self._visit_function(node, line)
            case lua.Function():
                self._visit_target(node.name, line)
                self._visit_function(node, line)
            case lua.Method():
                self._visit(node.source, line)
                self._visit_function(node, line, "self")
            case lua.Fornum():
                self._visit([node.start, node.stop, node.step], line)
                self._visit_body([node.target], node.body, line)
            case lua.Forin():
                self._visit(node.iter, line)
                self._visit_body(node.targets, node.body, line)
            case lua.Repeat():
                with self._scope():  # the condition sees the locals of the body
                    self._visit([*node.body.body, node.test], line)
            case _:
                self._visit_parts(node, line)

    def _visit_target(self, target: Any, line: int) -> None:
        """Check the target of an assignment, which alone does not make a local used."""
        if not isinstance(target, lua.Name):
            self._visit(target, line)
        elif self._find(target.id) is None:
            self._report(line, f"assignment to the global '{target.id}'")

    def _visit_function(self, node: Any, line: int, *implicit: str) -> None:
        self._visit_body([lua.Name(name) for name in implicit] + node.args, node.body, line)

    def _visit_body(self, names: list[Any], body: Any, line: int) -> None:
        with self._scope():
            for name in names:
                if isinstance(name, lua.Name):  # not the ... of a parameter list
                    self._declare(name.id, line, used=True)
            self._visit(body.body, line)

    def _visit_expression(self, node: Any, line: int) -> None:
        match node:
            case lua.Block():
                with self._scope():
                    self._visit(node.body, line)
            case lua.AnonymousFunction():
                self._visit_function(node, line)
            case lua.Name():
                self._visit_name(node.id, line)
            case lua.Index():
                self._visit_index(node, line)
            case lua.Field():
                if node.between_brackets:
                    self._visit(node.key, line)
                self._visit(node.value, line)
            case lua.Call():
                self._check_command(node, line)
                self._visit([node.func, *node.args], line)
            case lua.Invoke():
                self._visit([node.source, *node.args], line)
            case _:
                self._visit_parts(node, line)

    def _visit_name(self, name: str, line: int) -> None:
        variable = self._find(name)
        if variable is not None:
            variable.used = True
        elif name == "KEYS":
            self._report(line, "KEYS outside a 'local name = KEYS[1]' at the head of the file")
        elif name not in GLOBALS:
            self._report(line, f"undefined or forbidden global '{name}'")

    def _visit_index(self, node: Any, line: int) -> None:
        if id(node) in self._head_bindings:
            return
        function = _field(node, "redis")
        if function is not None and function not in REDIS_FUNCTIONS:
            self._report(line, f"forbidden function redis.{function}")
        self._visit(node.value, line)
        if node.notation is lua.IndexNotation.SQUARE:
            self._visit(node.idx, line)

    def _check_command(self, node: Any, line: int) -> None:
        alias = self._find(node.func.id) if isinstance(node.func, lua.Name) else None
        calls_redis = _field(node.func, "redis") in {"call", "pcall"} or (alias and alias.is_redis_call)
        if calls_redis and node.args and isinstance(node.args[0], lua.String):
            command = node.args[0].raw.upper()
            if command in FORBIDDEN_COMMANDS:
                self._report(line, f"forbidden command {command}")


def _field(node: Any, table: str) -> str | None:
    """Return the field name of an expression ``table.field``, None for other expressions."""
    if isinstance(node, lua.Index) and isinstance(node.value, lua.Name) and node.value.id == table:
        return str(node.idx.id) if node.notation is lua.IndexNotation.DOT else None
    return None


def _is_keys_entry(node: Any) -> bool:
    return (
        isinstance(node, lua.Index)
        and isinstance(node.value, lua.Name)
        and node.value.id == "KEYS"
        and isinstance(node.idx, lua.Number)
    )
