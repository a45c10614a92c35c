"""Batching: cut what one call carries into parts that one script handles in bounded time."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
K = TypeVar("K", bound=Hashable)

BYTES_PER_SCRIPT = 1024 * 1024


def batches(
    items: Iterable[T], max_items: int, size_of: Callable[[T], int] = lambda _item: 0
) -> Iterator[list[T]]:
    """Cut items into lists, in their order.

    Args:
        items: The items.
        max_items: The most items of one list.
        size_of: Returns the bytes of an item; a list ends before it takes more than `BYTES_PER_SCRIPT`.
    """
    batch: list[T] = []
    total = 0
    for item in items:
        size = size_of(item)
        if batch and (len(batch) == max_items or total + size > BYTES_PER_SCRIPT):
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += size
    if batch:
        yield batch


def batches_by(
    key_of: Callable[[T], K],
    items: Iterable[T],
    max_items: int,
    size_of: Callable[[T], int] = lambda _item: 0,
) -> list[tuple[K, Sequence[T]]]:
    """Group items by a key, such as their shard, and cut each group as `batches` does.

    Returns:
        Pairs of a key and a batch, in the order in which the keys first came up.
    """
    groups: dict[K, list[T]] = {}
    for item in items:
        groups.setdefault(key_of(item), []).append(item)
    return [(key, batch) for key, group in groups.items() for batch in batches(group, max_items, size_of)]
