"""The linter of the Lua scripts."""

from pathlib import Path

import lint_lua
import pytest

HEAD = "local key = KEYS[1]\n"

LAYERS = {"tasks": 0, "pools": 1, "core": 2}

FAULTY = {
    "syntax": ("local a = = 1", 1, "syntax error"),
    "syntax of a later Lua": ("return 7 // 2", 1, "syntax error"),
    "missing end": ("if ARGV[1] then\nreturn 1", 2, "'end' expected"),
    "global assigned": ("\ncount = 1", 2, "assignment to the global 'count'"),
    "global among targets": ("local a\na, b = 1, 2\nreturn a", 2, "assignment to the global 'b'"),
    "global function": ("function helper() end", 1, "assignment to the global 'helper'"),
    "global read": ("local a = 1\nreturn a + b", 2, "undefined or forbidden global 'b'"),
    "local out of scope": ("do local a = 1; a = a end\nreturn a", 2, "undefined or forbidden global 'a'"),
    "local read in its own value": ("local a = a\nreturn a", 1, "undefined or forbidden global 'a'"),
    "read within a table": ("return {\n  1,\n  [name] = 2,\n}", 3, "undefined or forbidden global 'name'"),
    "cmsgpack": ("return cmsgpack.pack(1)", 1, "undefined or forbidden global 'cmsgpack'"),
    "print": ("print('x')", 1, "undefined or forbidden global 'print'"),
    "KEYS command": ("return redis.call('KEYS', '*')", 1, "forbidden command KEYS"),
    "SCAN command": ("return redis.pcall('scan', 0)", 1, "forbidden command SCAN"),
    "aliased": ("local call = redis.call\ncall('FLUSHALL')", 2, "forbidden command FLUSHALL"),
    "redis.log": ("redis.log(1, 'x')", 1, "forbidden function redis.log"),
    "unused local": ("local a, b = 1, 2\nreturn a", 1, "unused local 'b'"),
    "assigned, never read": ("local a\na = 1", 1, "unused local 'a'"),
    "unused local in a function": ("local f = function(a)\nlocal b = a\nend\nf()", 2, "unused local 'b'"),
    "unused local function": ("local function f() return 1 end", 1, "unused local 'f'"),
    "KEYS past the head": ("redis.call('GET', ARGV[1])\nlocal k = KEYS[1]\nreturn k", 2, "KEYS outside"),
    "KEYS in a call": ("return redis.call('GET', KEYS[1])", 1, "KEYS outside"),
    "KEYS counted": ("return #KEYS", 1, "KEYS outside"),
    "long line": (f"return '{'x' * 110}'", 1, "line of 119 characters"),
    "trailing space": ("return 1 ", 1, "trailing whitespace"),
    "tab": ("do\n\treturn 1\nend", 2, "tab"),
    "missing part": ("--@include tasks/nothing", 1, "no such file"),
}

CORRECT = {
    "commands": HEAD + "local value = redis.call('GET', key)\nreturn value or redis.status_reply('NONE')",
    "a command that scans one key": HEAD + "return redis.call('HSCAN', key, 0)",
    "several keys": "local lane, leases = KEYS[1], KEYS[2]\nlocal id = ARGV[1]\nreturn {lane, leases, id}",
    "keys below other locals": "local agent = ARGV[1]\nlocal key = KEYS[1]\nreturn {key, agent}",
    "fields": "local a = {keys = 1}\na.scan, a['b'] = a.keys, 2\nreturn a.scan",
    "methods": "local a = {}\nfunction a:get(x) return self.value, x end\nreturn a:get(1)",
    "recursion": "local function f(n, ...)\n  if n > 0 then return f(n - 1, ...) end\nend\nreturn f(3)",
    "loops": "local n = 0\nfor i = 1, 9, 2 do n = n + i end\nfor _, v in ipairs({}) do n = v end\nreturn n",
    "repeat": "repeat local done = true until done",
    "shadowing": "local a = 1\ndo local a = a + 1; a = a * 2 end\nreturn a",
    "unused on purpose": "local _ = redis.call('TIME')\nlocal _rest, first = 1, 2\nreturn first",
    "long strings and comments": "--[[ a\nb ]] return [==[ x = y ]==], 'it\\'s', 1e3, 0x10",
    "branches": "local a = ARGV[1]\nif a == 1 then a = 2 elseif a then a = 3 else a = 4 end\nreturn a",
    "closures": "local n = 0\nlocal function add(x) n = n + x end\nadd(1)\nreturn n",
}


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / "tasks/lua" / f"{name.replace('__', '/')}.lua"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found(folder: Path) -> list[str]:
    return [
        f"{p.place.path.relative_to(folder / 'tasks/lua')}:{p.place.line}: {p.message}"
        for p in lint_lua.lint(folder, LAYERS)
    ]


@pytest.mark.parametrize(("text", "line", "message"), FAULTY.values(), ids=FAULTY)
def test_a_fault_is_reported_with_its_line(tmp_path: Path, text: str, line: int, message: str) -> None:
    write(tmp_path, script=text + "\n")
    [problem] = found(tmp_path)
    assert problem.startswith(f"script.lua:{line}: ")
    assert message in problem


@pytest.mark.parametrize("text", CORRECT.values(), ids=CORRECT)
def test_correct_code_passes(tmp_path: Path, text: str) -> None:
    write(tmp_path, script=text + "\n")
    assert found(tmp_path) == []


def test_a_part_is_spliced_in_once_and_may_include_others(tmp_path: Path) -> None:
    write(
        tmp_path,
        shared__time="local function now() return redis.call('TIME') end\n",
        shared__record="--@include tasks/time\nlocal function read() return now() end\n",
        claim="--@include tasks/record\n--@include tasks/time\nreturn {read(), now()}\n",
        touch="--@include tasks/record\nreturn read()\n",
    )
    assert found(tmp_path) == []


def test_a_fault_in_a_part_is_reported_once_with_its_own_line(tmp_path: Path) -> None:
    part = "-- A comment.\nlocal function read()\n  local unused = 1\n  return undefined\nend\n"
    script = "--@include tasks/record\nreturn read(missing)\n"
    write(tmp_path, shared__record=part, a=script, b=script)
    assert found(tmp_path) == [
        "a.lua:2: undefined or forbidden global 'missing'",
        "b.lua:2: undefined or forbidden global 'missing'",
        "shared/record.lua:3: unused local 'unused'",
        "shared/record.lua:4: undefined or forbidden global 'undefined'",
    ]


def test_a_definition_of_a_part_must_be_used_by_some_script(tmp_path: Path) -> None:
    part = (
        "local function a() return 1 end\nlocal function b() return 2 end\nlocal function c() return 3 end\n"
    )
    write(
        tmp_path,
        shared__part=part,
        a="--@include tasks/part\nreturn a()\n",
        b="--@include tasks/part\nreturn b()\n",
    )
    assert found(tmp_path) == ["shared/part.lua:3: 'c' is not used by any script"]


def test_the_head_of_a_script_begins_after_its_includes(tmp_path: Path) -> None:
    write(
        tmp_path,
        shared__part="local function twice(x) return x .. x end\n",
        script="--@include tasks/part\nlocal key = KEYS[1]\nreturn twice(key)\n",
    )
    assert found(tmp_path) == []


def test_a_syntax_error_after_a_part_is_reported_in_the_script(tmp_path: Path) -> None:
    write(tmp_path, shared__part="local a = 1\n\n\n", script="--@include tasks/part\nreturn a a\n")
    assert found(tmp_path) == ["script.lua:2: syntax error: '<eof>' expected near 'a'"]


def test_the_exit_status_of_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert lint_lua.main([str(tmp_path)]) == 2
    write(tmp_path, good="return 1\n")
    assert lint_lua.main([str(tmp_path)]) == 0
    write(tmp_path, bad="return x\n")
    assert lint_lua.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"no Lua files in {tmp_path}",
        "1 Lua files, 0 problems",
        f"{tmp_path}/tasks/lua/bad.lua:1: undefined or forbidden global 'x'",
        "2 Lua files, 1 problems",
    ]


@pytest.mark.parametrize(
    ("package", "included", "is_allowed"),
    [
        ("tasks", "core", True),
        ("tasks", "tasks", True),
        ("pools", "tasks", False),
        ("core", "tasks", False),
        ("without_layer", "core", False),
    ],
)
def test_includes_go_down_the_layers(tmp_path: Path, package: str, included: str, is_allowed: bool) -> None:
    part = tmp_path / included / "lua" / "shared" / "part.lua"
    script = tmp_path / package / "lua" / "script.lua"
    for path in (part, script):
        path.parent.mkdir(parents=True, exist_ok=True)
    part.write_text("local one = 1\n")
    script.write_text(f"--@include {included}/part\nreturn one\n")
    problems = [str(problem) for problem in lint_lua.lint(tmp_path, LAYERS)]
    expected = f"{script}:1: {package} may not include a part of {included}"
    assert problems == ([] if is_allowed else [expected])


def test_a_file_must_end_with_a_newline(tmp_path: Path) -> None:
    write(tmp_path, script="do\n  return 1\nend")
    assert found(tmp_path) == ["script.lua:3: no newline at the end of the file"]
