"""The rows that a run trains on: tokenised once, counted, judged, and read with their images as training asks."""

import logging
import time
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.data import Dataset
from tqdm import tqdm

from syntune.errors import UserError
from syntune.files import atomic_directory, hashes_of, read_json, write_json
from syntune.images import open_image
from syntune.models.cross_entropy import IGNORED
from syntune.models.family import EncodedText, Processor, Row
from syntune.settings.pixels import AS_VIEWERS, PixelSettings
from syntune.settings.runs import TrainedRunSettings
from syntune.training.ranks import Ranks
from syntune.training.shards import Shards, Spot

log = logging.getLogger("train")

NO_ANSWER_LEFT = "no supervised token"
"""Every label is -100: nothing to learn, and a loss that is 0 / 0."""
IMAGE_CUT = "an image does not fit max_length"
TOO_LONG = "longer than max_length"

_HASHES = "hashes.json"

_COLUMNS = ("spots", "lengths", "supervised", "images", "starts")


@dataclass(frozen=True)
class Index:
    """What is known of the rows that are trained on, without their images; arrays are memory-mapped.

    Attributes:
        folder: where the arrays are.
        spots: [rows, 3], where each stands in the shards.
        lengths: [rows], tokens, image tokens included, after the cut.
        supervised: [rows], supervised tokens.
        images: [rows].
        starts: [rows + 1], where each row's tokens begin in ``ids``; empty where rows are tokenised with their images.
        ids: [tokens], of all rows, one for each image.
        labels: [tokens].
        counts: rows read, dropped by reason, and cut.
    """

    folder: Path
    spots: np.ndarray
    lengths: np.ndarray
    supervised: np.ndarray
    images: np.ndarray
    starts: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    counts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.lengths)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker is given the folder and maps the arrays itself: a pickled memory map is a copy of all of it."""
        return read_index, (self.folder,)

    @property
    def dropped(self) -> dict[str, int]:
        """Rows dropped, by reason."""
        return self.counts["dropped"]


def index_rows(
    shards: Shards,
    processor: Processor,
    folder: Path,
    max_length: int,
    too_long: str,
    pixels: PixelSettings = AS_VIEWERS,
) -> Index:
    """Tokenise every row, once: ``folder`` keeps the result for the next attempt.

    Args:
        shards: the dataset.
        processor: the model's.
        folder: where the index is kept; its name must stand for all that the result depends on.
        max_length: longest row, in tokens, image tokens included.
        too_long: what becomes of a longer row: "truncate", "drop" or "refuse".
        pixels: how images are seen.

    Raises:
        UserError: a row is too long and that is refused, or a row cannot be encoded; it is named. Or the index that an
            earlier attempt wrote is damaged.
    """
    if not folder.is_dir():
        with atomic_directory(folder) as temporary:
            _write_index(shards, processor, temporary, max_length, too_long, pixels)
            write_json(temporary / _HASHES, hashes_of(temporary, besides=_HASHES))
    elif hashes_of(folder, besides=_HASHES) != read_json(folder / _HASHES):
        raise UserError(f"{folder}: damaged, not what was written; delete it and run snakemake again")
    return read_index(folder)


def read_index(folder: Path) -> Index:
    """The index that :func:`index_rows` wrote."""
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in (*_COLUMNS, "ids", "labels")}
    return Index(folder, **arrays, counts=read_json(folder / "counts.json"))


def _write_index(
    shards: Shards, processor: Processor, folder: Path, max_length: int, too_long: str, pixels: PixelSettings
) -> None:
    """Write the index's arrays; tokens go to the disk as they come."""
    columns = {name: array("q") for name in _COLUMNS}
    columns["starts"].append(0)
    counts: Counter[str] = Counter()
    dropped: Counter[str] = Counter()
    examples: dict[str, list[str]] = {}
    with (folder / "ids.raw").open("wb") as ids_file, (folder / "labels.raw").open("wb") as labels_file:
        for spot, row_id, messages, images in tqdm(shards.texts(), desc="tokenise", unit=" rows", disable=None):
            counts["rows"] += 1
            text = _encode(shards, processor, spot, row_id, messages, pixels)
            if text.images != images:
                raise UserError(f"row {row_id}: {text.images} <image> marks, but {images} images")
            supervised = len(text.labels) - text.labels.count(IGNORED)
            reason = _reason(text, supervised, max_length, too_long)
            if reason == TOO_LONG and too_long == "refuse":
                raise UserError(
                    f"row {row_id}: {text.length} tokens are more than max_length {max_length}; raise that, or set "
                    "too_long to truncate or drop"
                )
            if reason:
                dropped[reason] += 1
                if len(examples.setdefault(reason, [])) < 3:
                    examples[reason].append(row_id)
                continue
            counts["cut"] += text.length > max_length
            columns["spots"].extend(spot)
            columns["lengths"].append(min(text.length, max_length))
            columns["supervised"].append(supervised)
            columns["images"].append(images)
            if text.ids:
                ids_file.write(np.asarray(text.ids, np.int32).tobytes())
                labels_file.write(np.asarray(text.labels, np.int32).tobytes())
                columns["starts"].append(columns["starts"][-1] + len(text.ids))
    for name, values in columns.items():
        shape = (-1, 3) if name == "spots" else (-1,)
        np.save(folder / f"{name}.npy", np.asarray(values, np.int64).reshape(shape))
    for name in ("ids", "labels"):
        raw = folder / f"{name}.raw"
        values = np.memmap(raw, np.int32, "r") if raw.stat().st_size else np.empty(0, np.int32)
        np.save(folder / f"{name}.npy", values)
        raw.unlink()
    write_json(
        folder / "counts.json",
        {"rows": counts["rows"], "cut": counts["cut"], "dropped": dict(sorted(dropped.items())), "examples": examples},
    )


def _encode(
    shards: Shards,
    processor: Processor,
    spot: Spot,
    row_id: str,
    messages: list[dict[str, str]],
    pixels: PixelSettings,
) -> EncodedText:
    """A row's text; where tokens depend on the images, it is encoded whole and only measured."""
    try:
        text = processor.encode_text(messages)
        if text is None:
            text = processor.measure_conversation(messages, decode_images(shards.row(spot), pixels))
        return text
    except UserError as error:
        raise UserError(f"row {row_id}: {error}") from error


def _reason(text: EncodedText, supervised: int, max_length: int, too_long: str) -> str | None:
    """Why a row is not trained on, or None."""
    if text.length > max_length and too_long != "truncate":
        return TOO_LONG
    if text.length > max_length and text.ids and text.ids[-1] < 0:
        return IMAGE_CUT
    return None if supervised else NO_ANSWER_LEFT


class TrainingRows(Dataset):
    """The index's rows, encoded with their images: what DataLoader's workers read."""

    def __init__(self, shards: Shards, index: Index, processor: Processor, pixels: PixelSettings = AS_VIEWERS) -> None:
        """Nothing is read yet."""
        self.shards, self.index, self.processor, self.pixels = shards, index, processor, pixels

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, row: int) -> Row:
        """One row, encoded."""
        stored = self.shards.row(Spot(*map(int, self.index.spots[row])))
        images = decode_images(stored, self.pixels)
        if not len(self.index.ids):
            return self.processor.encode_conversation(stored["messages"], images)
        tokens = slice(*map(int, self.index.starts[row : row + 2]))
        ids, labels = (column[tokens].tolist() for column in (self.index.ids, self.index.labels))
        return self.processor.add_images(EncodedText(ids, labels, len(images), int(self.index.lengths[row])), images)

    def ids(self, rows: list[int]) -> list[str]:
        """The rows' names."""
        return [self.shards.row(Spot(*map(int, self.index.spots[row])))["id"] for row in rows]


def read_rows(
    dataset: Path, processor: Processor, settings: TrainedRunSettings, folder: Path, ranks: Ranks
) -> TrainingRows:
    """The rows of a run, or those that it is validated on: tokenised on the first rank, for which the others wait.

    Args:
        dataset: manifest of the shards.
        processor: the model's.
        settings: the run's.
        folder: where the index is kept.
        ranks: those that train the run.

    Raises:
        UserError: a row or a shard is not as it must be, or the first rank took longer than ``timeout``.
    """
    shards = Shards(dataset)
    deadline = time.monotonic() + 60 * settings.timeout
    while not ranks.first and not folder.is_dir():
        if time.monotonic() > deadline:
            raise UserError(f"rank {ranks.rank} waited {settings.timeout} minutes for the dataset's tokens (timeout)")
        time.sleep(1)
    index = index_rows(shards, processor, folder, processor.max_length, settings.too_long, settings.pixels())
    log.info("%s: %s", dataset.name.removesuffix(".manifest.json"), describe(index))
    return TrainingRows(shards, index, processor, settings.pixels())


def decode_images(row: dict[str, Any], pixels: PixelSettings = AS_VIEWERS) -> list[Any]:
    """A shard row's images, whose sizes were checked when the seed was read."""
    return [
        open_image(image["bytes"], f"row {row['id']}: image {number}", max_pixels=None, pixels=pixels)
        for number, image in enumerate(row["images"])
    ]


def padded(processor: Processor, rows: list[Row]) -> Row:
    """A training batch."""
    return processor.collate(rows, padding_side="right")


def describe(index: Index) -> str:
    """The index in a line, for the log."""
    counts = index.counts
    dropped = ", ".join(f"{number} {reason}" for reason, number in counts["dropped"].items()) or "none"
    return (
        f"{len(index)} of {counts['rows']} rows, {int(index.lengths.sum())} tokens, {int(index.supervised.sum())} "
        f"supervised; dropped: {dropped}; cut at max_length: {counts['cut']}"
    )
