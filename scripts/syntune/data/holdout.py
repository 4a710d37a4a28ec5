"""Rows that are held out of training: which ones, and how every dataset of the config is kept free of them.

A hash of an image file decides, so that no picture is on both sides; text alone goes by its seed row's id. Only the
same bytes are the same picture: one that was saved anew is another.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pyarrow.parquet import ParquetFile

from syntune.artifacts.manifests import Manifest, read_manifest
from syntune.artifacts.shards import shard_files
from syntune.data.candidates import candidates
from syntune.data.ordering import key_hash
from syntune.data.row_table import Place, RowTable
from syntune.errors import UserError
from syntune.files import sha256_bytes

HELD_OUT = "held out"
"""The reason for leaving a row out of training."""

NOT_HELD_OUT = "not held out"


@dataclass(frozen=True)
class HeldOut:
    """What no dataset may hold: images by hash; rows by their seed row, a seed's content and the row's id."""

    images: set[str] = field(default_factory=set)
    seed_rows: set[tuple[str, str]] = field(default_factory=set)

    def holds(self, row: Place, images: list[str], seed: str) -> bool:
        """Whether a row is about such an image, or made from the seed row of one that is held out."""
        return (seed, row.seed_id) in self.seed_rows or not self.images.isdisjoint(images)


def seed_of(rows: Manifest) -> str:
    """The content hash of the seed that rows were made from, given their manifest: the seed's own, or a synthesis's."""
    return rows.inputs.get("seed", rows.content)


def read_held_out(manifests: list[Path]) -> HeldOut:
    """All that the datasets of a config hold out."""
    held_out = HeldOut()
    for path in manifests:
        seed = read_manifest(path).inputs["seed"]
        for file in shard_files(path):
            with ParquetFile(file) as shard:
                for batch in shard.iter_batches(64, columns=["seed_id", "images"]):
                    for row in batch.to_pylist():
                        held_out.seed_rows.add((seed, row["seed_id"]))
                        held_out.images.update(sha256_bytes(image["bytes"]) for image in row["images"])
    return held_out


def choose_rows(
    dataset: str,
    manifest: Path,
    amount: int | float,
    limit: int | None,
    dropped: Counter[str],
    database: sqlite3.Connection,
) -> list[Place]:
    """The rows to hold out; ``dropped`` counts the others, by reason.

    The rows of whole images are taken, those with the lowest hashes first, until there are enough: a higher amount
    holds out the same rows and more.

    Args:
        dataset: its name, for messages.
        manifest: of the dataset's own rows.
        amount: a number of rows, or a share of those that the dataset would have without it.
        limit: of the dataset.
        dropped: changed.
        database: for a table of all rows.

    Raises:
        UserError: no row would be left to train on.
    """
    table = RowTable(database, "by_image", _by_image(manifest, dropped))
    rows = len(table)
    wanted = amount if isinstance(amount, int) else max(1, round(amount * min(limit or rows, rows)))
    chosen: list[Place] = []
    for row in table:
        if len(chosen) >= wanted and row.order != chosen[-1].order:
            break
        chosen.append(row)
    if len(chosen) == rows:
        raise UserError(f"datasets.{dataset}.holdout: {amount} takes all of its {rows} rows; lower it")
    dropped[NOT_HELD_OUT] = rows - len(chosen)
    return chosen


def _by_image(manifest: Path, dropped: Counter[str]) -> Iterator[Place]:
    """The rows of a manifest by the lowest hash of their images; text alone by that of its seed row's id."""
    for row, images in candidates(manifest, lambda reason, *_: dropped.update([reason])):
        hashes = (key_hash("hold out", image) for image in images)
        yield row._replace(order=min(hashes, default=key_hash("hold out", "text", row.seed_id)))
