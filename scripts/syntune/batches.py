"""Items in batches."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int | None) -> Iterator[list[T]]:
    """``items`` in lists of ``size``, the last one shorter; all in one for None."""
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch
