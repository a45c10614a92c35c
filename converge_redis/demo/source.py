"""The Python files that the fleet is to parse."""

import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_NOT_OURS = frozenset({"site-packages", "dist-packages"})


class NoSourcesError(ValueError):
    """There is nothing to parse where the user pointed."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file.

    Attributes:
        id: The id of its task.
        path: Where it is; bytes that are not text are escaped as `os.fsdecode` does.
        name: The path as it is called within the folder.
        size: In bytes.
    """

    id: str
    path: str
    name: str
    size: int

    @property
    def shown(self) -> str:
        """The name as one printable line."""
        return self.name if self.name.isprintable() else repr(self.name)[1:-1]

    @property
    def package(self) -> str | None:
        """The folder at the top in which the file lies; None: it lies in none."""
        top, separator, _ = self.name.partition(os.sep)
        return top if separator else None


def standard_library() -> Path:
    """Return the folder of this interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_sources(path: Path) -> list[Source]:
    """Find the Python files of a folder, in the order of their names; installed packages are left out.

    Args:
        path: A folder, or one file of any name.

    Raises:
        NoSourcesError: The path does not exist, or holds no Python file.
    """
    # Absolute, since the fleet's processes have a working directory of their own.
    root = os.path.abspath(path)
    if os.path.isfile(root):
        found = [root]
    elif os.path.isdir(root):
        found = sorted(_walk(root))
    else:
        raise NoSourcesError(f"there is no file or folder {str(path)!r}")
    if not found:
        raise NoSourcesError(f"no Python files (*.py) in {str(path)!r}")
    folder = os.path.dirname(root) if found == [root] else root
    return [
        Source(f"file-{number:07}", file, os.path.relpath(file, folder), os.path.getsize(file))
        for number, file in enumerate(found, 1)
    ]


def _walk(root: str) -> list[str]:
    found = []
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if name not in _NOT_OURS]
        paths = (os.path.join(folder, name) for name in files if name.endswith(".py"))
        found += [path for path in paths if os.path.isfile(path)]  # no pipe, and no link to nowhere
    return found
