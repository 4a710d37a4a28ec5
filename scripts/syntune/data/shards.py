"""From canonical rows to Parquet shards: images inside, conversations as messages.

A row's id decides everything: which rows a limit keeps, where a row stands, which prompt a caption answers. Two passes
keep memory bounded: the first writes down where each row lies, the second writes one row group at a time.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from datasets import Features, Image, List, Value
from pyarrow import Table
from pyarrow.parquet import ParquetWriter
from tqdm import tqdm

from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.data.card import write_card
from syntune.data.conversations import trained_messages
from syntune.data.dataset_lineage import open_lineage
from syntune.data.holdout import read_held_out
from syntune.data.mixing import mix_rows
from syntune.data.row_table import Place, RowTable
from syntune.data.scratch import scratch_database
from syntune.data.statistics import Statistics
from syntune.errors import UserError
from syntune.files import atomic_directory, sha256_bytes
from syntune.settings.datasets import DatasetSettings

log = logging.getLogger("shard")

FEATURES = Features(
    {
        "id": Value("string"),
        "seed_id": Value("string"),
        "images": List(Image()),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)
"""The shards' columns; stored in each file and in the dataset's card, so that ``load_dataset`` decodes the images."""

_AGAIN = "read the seed again: snakemake --forcerun ingest_seed"

_GROUP_ROWS, _GROUP_BYTES = 256, 2**20
"""A row group ends at either: small enough to read one row of it at random, as training does, and to stream.

``load_dataset(..., streaming=True)`` holds one row group, or two with a shuffle buffer, of each shard that it reads.
"""


def write_shards(
    name: str,
    settings: DatasetSettings,
    rows_manifest: Path,
    mix: dict[str, Path],
    shards: Path,
    manifest: Path,
    *,
    lineage: Path,
    synthesis_lineage: dict[str, Path],
    holdouts: dict[str, Path] | None = None,
) -> None:
    """Write ``shard-00000-of-000NN.parquet`` ... and the card into the folder ``shards``, lineage, then the manifest.

    Args:
        name: the dataset.
        settings: the dataset's.
        rows_manifest: of its own rows.
        mix: manifests of the rows that are mixed in, by dataset.
        shards: folder to write.
        manifest: manifest to write.
        lineage: lineage to write.
        synthesis_lineage: lineages of the datasets that have a recipe, this one's and those mixed in, by dataset.
        holdouts: manifests of what the config's datasets hold out, by dataset.

    Raises:
        UserError: an image changed since the seed was read, or there are fewer rows than shards.
    """
    manifests = {"rows": read_manifest(rows_manifest), **{f"mix.{key}": read_manifest(mix[key]) for key in mix}}
    holdouts = holdouts or {}
    held_out = read_held_out(list(holdouts.values()))
    with (
        open_lineage(lineage) as story,
        atomic_directory(shards) as folder,
        scratch_database(folder) as database,
    ):
        for made, path in synthesis_lineage.items():
            story.copy(path, "" if made == name else f"{made}/")
        mixture = mix_rows(settings, rows_manifest, mix, story, database, held_out)
        places, dropped = mixture.places, dict(sorted(story.dropped.items()))
        if not len(places):
            why = ", ".join(f"{number} {reason}" for reason, number in story.dropped.most_common())
            raise UserError(f"datasets.{name}: every row was dropped ({why or 'there was none'})")
        if len(places) < settings.shards:
            raise UserError(f"datasets.{name}: {len(places)} rows do not fill {settings.shards} shards; lower shards")
        statistics = Statistics()
        counts = _write_files(folder, places, settings, statistics)
        card = write_card(
            folder,
            name=name,
            settings=settings,
            features=FEATURES,
            sources=manifests,
            details=statistics.as_details(),
            rows=len(places),
            dropped=dropped,
        )
    write_manifest(
        manifest,
        stage="shard",
        name=name,
        parts=[Part.from_file(shards / file, manifest.parent, count) for file, count in counts.items()],
        documents=[Part.from_file(shards / card.name, manifest.parent)],
        packages=("datasets", "pyarrow"),
        rows_in=mixture.rows_in,
        rows_out=len(places),
        dropped=dropped,
        added=mixture.added,
        inputs={key: source.content for key, source in manifests.items()}
        | {f"holdout.{key}": read_manifest(path).content for key, path in holdouts.items()},
        settings=settings.model_dump(),
        details=statistics.as_details() | {"sources": mixture.sources},
    )


def _write_files(folder: Path, places: RowTable, settings: DatasetSettings, statistics: Statistics) -> dict[str, int]:
    """Write the shards; returns the rows of each by its file's name."""
    counts: dict[str, int] = {}
    left = iter(places)
    with tqdm(total=len(places), desc="rows", unit="", disable=None) as progress:
        for index in range(settings.shards):
            rows = len(places) * (index + 1) // settings.shards - len(places) * index // settings.shards
            file = f"shard-{index:05d}-of-{settings.shards:05d}.parquet"
            counts[file] = rows
            write_shard(folder / file, islice(left, rows), settings.caption_prompts, statistics)
            progress.update(rows)
            log.info("%s: %d rows", file, rows)
    return counts


def write_shard(path: Path, places: Iterable[Place], prompts: list[str], statistics: Statistics) -> None:
    """Write the rows of one shard, a row group at a time; ``prompts`` are for captions."""
    with ParquetWriter(path, FEATURES.arrow_schema, compression="zstd") as writer:
        for group in _groups(_read_row(place, prompts, statistics) for place in places):
            writer.write_table(Table.from_pylist(group, FEATURES.arrow_schema), row_group_size=len(group))


def _groups(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in groups of bounded size."""
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += sum(len(image["bytes"]) for image in row["images"])
        if len(group) == _GROUP_ROWS or size >= _GROUP_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _read_row(place: Place, prompts: list[str], statistics: Statistics) -> dict[str, Any]:
    """A row in the shards' form."""
    with place.file.open("rb") as file:
        file.seek(place.offset)
        row = json.loads(file.readline())
    messages, left_out = trained_messages(row["text"], row["id"], prompts)
    images = [_read_image(*image) for image in zip(row["images"], row["image_sha256"], strict=True)]
    statistics.left_out.update(left_out)
    statistics.add(messages, [image["bytes"] for image in images], row["image_sha256"])
    return {"id": place.id, "seed_id": place.seed_id, "images": images, "messages": messages}


def _read_image(path: str, sha256: str) -> dict[str, Any]:
    """An image's bytes, which must still be those that the seed was checked with."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read any more ({error.strerror}); {_AGAIN}") from error
    if sha256_bytes(data) != sha256:
        raise UserError(f"{path}: changed since the seed was read; {_AGAIN}")
    return {"bytes": data, "path": Path(path).name}
