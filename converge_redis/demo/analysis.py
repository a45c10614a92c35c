"""The analysis of one file: read it, parse it, count."""

import ast
import warnings
from pathlib import Path
from typing import Any

from converge_redis.tasks.model import TaskState

Outcome = tuple[str, dict[str, Any]]
"""The state in which the task of a file ends, and its result or the reason of its failure."""

_MAX_IMPORTS = 1000  # keeps the result of a generated file within the limit for payloads


def analyse(path: str) -> Outcome:
    """Count the definitions, lines and imports of a Python file.

    Args:
        path: The file.

    Returns:
        ``completed`` with the counts; or ``failed`` with ``error``, ``message`` and ``line`` when the file
        cannot be read or parsed.
    """
    try:
        data = Path(path).read_bytes()
        with warnings.catch_warnings(action="ignore"):  # such as those about invalid escapes
            tree = ast.parse(data)
    except OSError as error:
        return _failed(error, error.strerror or "", None)
    except SyntaxError as error:
        return _failed(error, error.msg, error.lineno)
    except (ValueError, RecursionError, MemoryError) as error:  # null bytes, or nested too deeply
        return _failed(error, str(error), None)
    functions = classes = 0
    imports: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            functions += 1
        elif isinstance(node, ast.ClassDef):
            classes += 1
        elif isinstance(node, ast.Import):
            imports.update(alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports.add(node.module.partition(".")[0])
    return TaskState.COMPLETED, {
        "definitions": {"functions": functions, "classes": classes},
        "lines": data.count(b"\n") + (not data.endswith(b"\n") and data != b""),
        "imports": sorted(imports)[:_MAX_IMPORTS],
    }


def _failed(error: Exception, message: str, line: int | None) -> Outcome:
    text = message.encode(errors="backslashreplace").decode()
    return TaskState.FAILED, {"error": type(error).__name__, "message": text, "line": line}
