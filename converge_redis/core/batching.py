"""Cutting what one call carries into parts that one script handles in bounded time."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

BYTES_PER_SCRIPT = 1024 * 1024


def chunks_of(items: Iterable[T], size_of: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Cut items into lists, in their order.

    Args:
        items: The items.
        size_of: Returns the bytes that an item takes.
        most: The most items of a list; a list also ends before it takes more than `BYTES_PER_SCRIPT`.
    """
    chunk: list[T] = []
    total = 0
    for item in items:
        size = size_of(item)
        if chunk and (len(chunk) == most or total + size > BYTES_PER_SCRIPT):
            yield chunk
            chunk, total = [], 0
        chunk.append(item)
        total += size
    if chunk:
        yield chunk
