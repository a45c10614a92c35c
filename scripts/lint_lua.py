"""Lint the Lua scripts that run inside Redis.

Usage: ``python scripts/lint_lua.py [FOLDER]`` (default: ``converge_redis``). Scripts are in
``<FOLDER>/<package>/lua``, shared parts in ``<FOLDER>/<package>/lua/shared``.

Each script is checked as the server receives it, with the parts of its ``--@include`` lines spliced in. Each
problem is reported with its file and line: syntax errors of Lua 5.1, globals, unused locals, forbidden
commands and functions, ``KEYS`` outside the bindings at the head of a file, includes of a package that is not
in a lower layer (``[tool.importlinter]`` in ``pyproject.toml``), and the format of lines. A name that starts
with ``_`` may be unused.
"""

import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from lua_script import INCLUDE, Place, Problem, Script

ROOT = Path(__file__).parent.parent
DEFAULT_FOLDER = Path("converge_redis")
LINE_LENGTH = 110


def package_layers() -> dict[str, int]:
    """Return the layer of each package, counted from the top, as import-linter enforces it for Python."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    (contract,) = settings["contracts"]
    return {
        package: number for number, layer in enumerate(contract["layers"]) for package in layer.split(" | ")
    }


def lint(folder: Path, layers: Mapping[str, int]) -> list[Problem]:
    """Return the problems of all Lua files below a folder, sorted by file and line.

    Args:
        folder: The folder of the packages.
        layers: The layer of each package; a higher number is a lower layer.
    """
    files = sorted(folder.rglob("*.lua"))
    problems = {problem for path in files for problem in _lint_lines(path, path.read_text("utf-8"))}
    for path in files:
        problems |= set(_lint_includes(path.relative_to(folder).parts[0], path, layers))
    defined: set[tuple[Place, str]] = set()
    used: set[tuple[Place, str]] = set()
    included: set[Path] = set()
    for path in files:
        if path.parent.name == "shared":
            continue
        script = Script(folder, path)
        included |= script.files
        problems |= script.problems
        for variable in script.variables:
            if variable.name.startswith("_"):
                continue
            if variable.place.path != path and not variable.in_block:
                defined.add((variable.place, variable.name))
                if variable.used:
                    used.add((variable.place, variable.name))
            elif not variable.used:
                problems.add(Problem(variable.place, f"unused local '{variable.name}'"))
    problems |= {Problem(place, f"'{name}' is not used by any script") for place, name in defined - used}
    problems |= {Problem(Place(path, 1), "no script includes this file") for path in {*files} - included}
    return sorted(problems)


def _lint_lines(path: Path, text: str) -> Iterator[Problem]:
    for number, line in enumerate(text.splitlines(), 1):
        place = Place(path, number)
        if len(line) > LINE_LENGTH:
            yield Problem(place, f"line of {len(line)} characters (limit: {LINE_LENGTH})")
        if line != line.rstrip():
            yield Problem(place, "trailing whitespace")
        if "\t" in line:
            yield Problem(place, "tab")
    if not text.endswith("\n"):
        yield Problem(Place(path, max(1, len(text.splitlines()))), "no newline at the end of the file")


def _lint_includes(package: str, path: Path, layers: Mapping[str, int]) -> Iterator[Problem]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        match = INCLUDE.fullmatch(line.rstrip())
        if match is None:
            continue
        included = match[1].partition("/")[0]
        if included != package and layers.get(included, -1) <= layers.get(package, len(layers)):
            yield Problem(Place(path, number), f"{package} may not include a part of {included}")


def main(arguments: list[str]) -> int:
    """Lint a folder, print the problems, and return the exit status."""
    folder = Path(arguments[0]) if arguments else DEFAULT_FOLDER
    count = len(list(folder.rglob("*.lua")))
    if count == 0:
        print(f"no Lua files in {folder}")
        return 2
    problems = lint(folder, package_layers())
    for problem in problems:
        print(problem)
    print(f"{count} Lua files, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
