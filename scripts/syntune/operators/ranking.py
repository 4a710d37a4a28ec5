"""Rows ranked by a field, for the operators that see all of them."""

from collections.abc import Iterator
from math import inf
from typing import Any

from syntune.data.ordering import key_hash


def best_first(dataset: Any, field_key: str | None, random_seed: int = 0) -> list[int]:
    """The rows' indices, those with the highest value first; ties, or all rows without a field, by a hash of the id.

    Args:
        dataset: the rows, with their ids.
        field_key: the field, with dots for what lies within: ``__dj__stats__.image_text_similarity``. A list, one value
            for each image of a row, counts by its mean; an empty one, of a row without images, comes last.
        random_seed: another one breaks ties in another way.

    Raises:
        ValueError: a row has no such value.
    """
    ids = dataset["id"]
    ties = [key_hash(random_seed, "best", row_id) for row_id in ids]
    values = list(_values(dataset, field_key)) if field_key else [0.0] * len(ties)
    return sorted(range(len(ties)), key=lambda index: (-values[index], ties[index]))


def _values(dataset: Any, field_key: str) -> Iterator[float]:
    """The field's value in each row."""
    column, *path = field_key.split(".")
    if column not in dataset.column_names:
        raise ValueError(f"field_key: {field_key}: no row has {column}")
    for row_id, value in zip(dataset["id"], dataset[column], strict=True):
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, list):
            value = sum(value) / len(value) if value else -inf
        if not isinstance(value, int | float):
            raise ValueError(f"field_key: row {row_id} has no {field_key}; put the filter that computes it before this")
        yield value
