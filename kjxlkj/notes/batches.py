"""As many things at a time as the memory has room for."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(items: Iterable[T], *, most: int, room: int, weight: Callable[[T], int]) -> Iterator[list[T]]:
    """Never more than `most`, nor more than `room` by weight, but for a single one that is larger."""
    batch: list[T] = []
    left = room
    for item in items:
        heavy = weight(item)
        if batch and (len(batch) == most or heavy > left):
            yield batch
            batch, left = [], room
        batch.append(item)
        left -= heavy
    if batch:
        yield batch
