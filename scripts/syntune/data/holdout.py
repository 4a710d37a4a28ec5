"""Rows that are held out of training: which ones, and how every dataset of the config is kept free of them.

A hash of an image file decides, so that no picture is on both sides; text alone goes by its seed row's id. Only the
same bytes are the same picture: one that was saved anew is another.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pyarrow.parquet import ParquetFile

from syntune.artifacts.manifests import Manifest, read_manifest
from syntune.artifacts.shards import shard_files
from syntune.data.candidates import Candidate, candidates
from syntune.data.ordering import key_hash
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

    def holds(self, row: Candidate, images: list[str], seed: str) -> bool:
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
    dataset: str, manifest: Path, amount: int | float, limit: int | None, dropped: Counter[str]
) -> list[Candidate]:
    """The rows to hold out, in the order of their hashes; ``dropped`` counts the others, by reason.

    The rows of whole images are taken, those with the lowest hashes first, until there are enough: a higher amount
    holds out the same rows and more.

    Args:
        dataset: its name, for messages.
        manifest: of the dataset's own rows.
        amount: a number of rows, or a share of those that the dataset would have without it.
        limit: of the dataset.
        dropped: changed.

    Raises:
        UserError: no row would be left to train on.
    """
    groups: dict[str, list[Candidate]] = {}
    for row, images in candidates(manifest, lambda reason, *_: dropped.update([reason])):
        key = min((key_hash("hold out", image) for image in images), default=key_hash("hold out", "text", row.seed_id))
        groups.setdefault(key, []).append(row)
    rows = sum(map(len, groups.values()))
    wanted = amount if isinstance(amount, int) else max(1, round(amount * min(limit or rows, rows)))
    chosen: list[Candidate] = []
    for key in sorted(groups):
        if len(chosen) >= wanted:
            break
        chosen += sorted(groups[key])
    if len(chosen) == rows:
        raise UserError(f"datasets.{dataset}.holdout: {amount} takes all of its {rows} rows; lower it")
    if rows > len(chosen):
        dropped[NOT_HELD_OUT] = rows - len(chosen)
    return chosen
