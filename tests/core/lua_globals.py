"""The globals of a Lua script, read from its bytecode: compiling takes far less time than parsing."""

import io
import struct
from dataclasses import dataclass, field
from typing import Any

from lupa import lua51

_GETGLOBAL, _SETGLOBAL = 5, 7
_HEADER_BYTES = 12


@dataclass
class Globals:
    """The names of the globals that a script reads and assigns."""

    read: set[str] = field(default_factory=set)
    assigned: set[str] = field(default_factory=set)


def globals_of(text: str) -> Globals:
    """Return the globals of a script.

    Raises:
        LuaError: It has a syntax error.
    """
    runtime = lua51.LuaRuntime(encoding=None)
    dump = runtime.eval(b"function(text) return string.dump(assert(loadstring(text))) end")
    found = Globals()
    _read_function(io.BytesIO(dump(text.encode())[_HEADER_BYTES:]), found)
    return found


def _read_function(chunk: io.BytesIO, found: Globals) -> None:
    """Read a function and those inside it, in the format of `lundump.c` on a 64-bit machine."""
    _read_text(chunk)  # the source
    chunk.read(2 * 4 + 4)  # the first and the last line; four counters
    code = struct.unpack(f"<{(count := _read_int(chunk))}I", chunk.read(4 * count))
    constants = [_read_constant(chunk) for _ in range(_read_int(chunk))]
    for instruction in code:
        if instruction & 0x3F == _GETGLOBAL:
            found.read.add(constants[instruction >> 14])
        elif instruction & 0x3F == _SETGLOBAL:
            found.assigned.add(constants[instruction >> 14])
    for _ in range(_read_int(chunk)):
        _read_function(chunk, found)
    chunk.read(4 * _read_int(chunk))  # the line of each instruction
    for _ in range(_read_int(chunk)):  # the local variables: name, first and last instruction
        _read_text(chunk)
        chunk.read(2 * 4)
    for _ in range(_read_int(chunk)):  # the names of the upvalues
        _read_text(chunk)


def _read_int(chunk: io.BytesIO) -> int:
    return int(struct.unpack("<i", chunk.read(4))[0])


def _read_text(chunk: io.BytesIO) -> str:
    (size,) = struct.unpack("<Q", chunk.read(8))
    return chunk.read(size)[:-1].decode(errors="replace")


def _read_constant(chunk: io.BytesIO) -> Any:
    kind = chunk.read(1)[0]
    if kind == 4:
        return _read_text(chunk)
    return chunk.read({0: 0, 1: 1, 3: 8}[kind])  # nil, a boolean, a number
