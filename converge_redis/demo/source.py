"""The Python files that the fleet parses."""

import os
import sysconfig
from dataclasses import dataclass
from pathlib import Path

_INSTALLED = frozenset({"site-packages", "dist-packages"})


class NoSourcesError(ValueError):
    """There is no Python file at the given path."""


@dataclass(frozen=True, slots=True)
class Source:
    """One file.

    Attributes:
        id: The id of its task.
        path: Its absolute path; bytes that are not text are escaped as in `os.fsdecode`.
        name: Its path relative to the folder.
        size: Its size in bytes.
    """

    id: str
    path: str
    name: str
    size: int

    @property
    def display_name(self) -> str:
        """The name, escaped if it is not printable."""
        return self.name if self.name.isprintable() else repr(self.name)[1:-1]

    @property
    def package(self) -> str | None:
        """The top-level folder that contains the file; None: it is in no subfolder."""
        top, separator, _ = self.name.partition(os.sep)
        return top if separator else None


def standard_library() -> Path:
    """Return the folder of this interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_sources(path: Path) -> list[Source]:
    """Find the Python files of a folder, sorted by name, without installed packages.

    Args:
        path: A folder, or one file of any name.

    Raises:
        NoSourcesError: The path does not exist or contains no Python file.
    """
    # Absolute, since it is passed to other processes.
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
        folders[:] = [name for name in folders if name not in _INSTALLED]
        paths = (os.path.join(folder, name) for name in files if name.endswith(".py"))
        found += [path for path in paths if os.path.isfile(path)]  # not a pipe or a broken link
    return found
