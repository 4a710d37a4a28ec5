"""The sidecar of scores: a Parquet table with a line for each image of each row, and a column for each statistic."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from syntune.files import atomic_file
from syntune.model_operators.texts import texts_with_images

OF_TEXTS = ("image_text_similarity", "image_text_matching_score")
"""Statistics with a number for each text with images; the others have one for each image."""


def write_scores(path: Path, rows: Iterable[dict[str, Any]], stats: Sequence[str]) -> None:
    """Write the scores of rows, as they are at the end of the stage.

    Columns: ``row_id``, ``image_sha256``, then each of ``stats`` as a number. An image whose text has none, because
    the text was changed after it was scored, has null.
    """
    schema = pa.schema(
        [("row_id", pa.string()), ("image_sha256", pa.string()), *((stat, pa.float64()) for stat in stats)]
    )
    lines = [
        {"row_id": row["id"], "image_sha256": sha256} | {stat: _value(row, stat, place) for stat in stats}
        for row in rows
        for place, sha256 in enumerate(row["image_sha256"])
    ]
    with atomic_file(path) as temporary:
        pq.write_table(pa.Table.from_pylist(lines, schema), temporary, compression="zstd")


def _value(row: dict[str, Any], stat: str, place: int) -> float | None:
    """The number that a statistic has for one image of a row."""
    values = row["stats"].get(stat, [])
    if stat not in OF_TEXTS:
        return values[place] if place < len(values) else None
    parts = [places for _, places in texts_with_images(row["text"])]
    return next((value for value, places in zip(values, parts, strict=False) if place in places), None)
