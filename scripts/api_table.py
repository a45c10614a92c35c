"""Print the table of the public API, from the pages in ``docs/api`` and the docstrings.

    python scripts/api_table.py --write   # update docs/api/index.md

A test compares the file with what this prints, so each change of a public name or method shows in its diff.
"""

import enum
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import converge_redis
from converge_redis import errors

PAGES = Path(__file__).parent.parent / "docs" / "api"
TABLE = PAGES / "index.md"

_HEAD = """# The public API

All names are imported from `converge_redis`. `scripts/api_table.py` generates this page.
"""


def table() -> str:
    """Return the page: a table for each page of the reference.

    Raises:
        SystemExit: A public name is on no page, or on several.
    """
    text, listed = _HEAD, list[str]()
    for page in sorted(PAGES.glob("*.md")):
        if page == TABLE:
            continue
        source = page.read_text()
        names = re.findall(r"^::: converge_redis\.([A-Za-z_]+)$", source, re.MULTILINE)
        if page.stem == "errors":
            names = [name for name in converge_redis.__all__ if hasattr(errors, name)]
        names = [name for name in names if name in converge_redis.__all__]
        listed += names
        title = source.partition("\n")[0].removeprefix("# ")
        text += f"\n## [{title}]({page.name})\n\n| Name | | Members |\n| --- | --- | --- |\n"
        text += "".join(_row(name) for name in names)
    if sorted(listed) != sorted(converge_redis.__all__):
        wrong = {name for name in converge_redis.__all__ if listed.count(name) != 1}
        raise SystemExit(f"public names that are not on exactly one page of docs/api: {sorted(wrong)}")
    return text


def _row(name: str) -> str:
    value = getattr(converge_redis, name)
    members = ", ".join(f"`{member}`" for member in _members(value))
    return f"| `{name}` | {_summary(value)} | {members} |\n"


def _summary(value: Any) -> str:
    lines = (inspect.getdoc(value) or "").splitlines() if callable(value) else []
    return lines[0].replace("|", "\\|") if lines else ""


def _members(value: Any) -> Iterator[str]:
    """Yield the public methods, fields and constants of a class, in the order of the source."""
    if not inspect.isclass(value):
        return
    seen = set[str]()
    for cls in value.__mro__:
        if not cls.__module__.startswith("converge_redis") or (
            issubclass(cls, Exception) and cls is not value
        ):
            continue
        fields = [] if issubclass(cls, enum.Enum) else list(inspect.get_annotations(cls))
        for name in [*fields, *vars(cls)]:
            if not name.startswith("_") and name not in seen and name != "model_config":
                seen.add(name)
                yield name


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        TABLE.write_text(table())
    else:
        print(table(), end="")
