"""From canonical rows to Parquet shards: images inside, conversations as messages.

A row's id decides everything: which rows a limit keeps, where a row stands, which prompt a caption answers. Two passes
keep memory bounded: the first remembers where each row lies, the second writes one row group at a time.
"""

import json
import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datasets import Features, Image, List, Value
from pyarrow import Table
from pyarrow.parquet import ParquetWriter
from tqdm import tqdm

from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.data.conversations import pair_turns, to_messages
from syntune.data.mixing import Place, mix_rows
from syntune.data.ordering import key_hash
from syntune.errors import UserError
from syntune.files import atomic_directory, sha256_bytes
from syntune.settings.datasets import DatasetSettings

log = logging.getLogger("shard")

FEATURES = Features(
    {
        "id": Value("string"),
        "images": List(Image()),
        "messages": List({"role": Value("string"), "content": Value("string")}),
    }
)
"""The shards' columns; stored in each file, so that ``load_dataset("parquet", ...)`` decodes the images."""

_AGAIN = "read the seed again: snakemake --forcerun ingest_seed"

_GROUP_ROWS, _GROUP_BYTES = 256, 2**20
"""A row group ends at either: small enough to read one row of it at random, as training does."""


class Figures:
    """What is counted while the shards are written."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self.images: set[str] = set()
        self.image_bytes = 0
        self.answers = 0
        self.words = 0
        self.left_out: Counter[str] = Counter()

    def as_details(self) -> dict[str, Any]:
        """The manifest's details."""
        return {
            "images": len(self.images),
            "image_bytes": self.image_bytes,
            "answers": self.answers,
            "mean_answer_words": round(self.words / self.answers, 2),
            "turns_left_out": dict(sorted(self.left_out.items())),
        }


def write_shards(
    name: str, settings: DatasetSettings, rows_manifest: Path, mix: dict[str, Path], shards: Path, manifest: Path
) -> None:
    """Write ``shard-00000-of-000NN.parquet`` ... into the folder ``shards``, then the manifest.

    Raises:
        UserError: an image changed since the seed was read, or there are fewer rows than shards.
    """
    mixture = mix_rows(settings, rows_manifest, mix)
    places = mixture.places
    manifests = {"rows": rows_manifest, **{f"mix.{other}": path for other, path in mix.items()}}
    if not places:
        why = ", ".join(f"{number} {reason}" for reason, number in mixture.dropped.most_common() if number)
        raise UserError(f"datasets.{name}: every row was dropped ({why or 'there was none'})")
    if len(places) < settings.shards:
        raise UserError(f"datasets.{name}: {len(places)} rows do not fill {settings.shards} shards; lower shards")
    figures = Figures()
    counts: dict[str, int] = {}
    with atomic_directory(shards) as folder, tqdm(total=len(places), desc="rows", unit="", disable=None) as progress:
        for index in range(settings.shards):
            part = places[len(places) * index // settings.shards : len(places) * (index + 1) // settings.shards]
            file = f"shard-{index:05d}-of-{settings.shards:05d}.parquet"
            counts[file] = len(part)
            _write_shard(folder / file, part, settings, figures)
            progress.update(len(part))
            log.info("%s: %d rows", file, len(part))
    write_manifest(
        manifest,
        stage="shard",
        name=name,
        parts=[Part.from_file(shards / file, manifest.parent, count) for file, count in counts.items()],
        packages=("datasets", "pyarrow"),
        rows_in=mixture.rows_in,
        rows_out=len(places),
        dropped=dict(sorted(mixture.dropped.items())),
        added=mixture.added,
        inputs={key: read_manifest(path).content for key, path in manifests.items()},
        settings=settings.model_dump(),
        details=figures.as_details() | {"sources": mixture.sources},
    )


def _write_shard(path: Path, places: list[Place], settings: DatasetSettings, figures: Figures) -> None:
    """Write the rows of one shard, a row group at a time."""
    with ParquetWriter(path, FEATURES.arrow_schema, compression="zstd") as writer:
        for group in _groups(_read_row(place, settings, figures) for place in places):
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


def _read_row(place: Place, settings: DatasetSettings, figures: Figures) -> dict[str, Any]:
    """A row in the shards' form."""
    with place.file.open("rb") as file:
        file.seek(place.offset)
        row = json.loads(file.readline())
    prompts = settings.caption_prompts
    messages, left_out = pair_turns(
        to_messages(row["text"], prompts[int(key_hash("prompt", row["id"]), 16) % len(prompts)])
    )
    images = [_read_image(*image) for image in zip(row["images"], row["image_sha256"], strict=True)]
    answers = [message["content"] for message in messages if message["role"] == "assistant"]
    figures.left_out.update(left_out)
    figures.images.update(row["image_sha256"])
    figures.image_bytes += sum(len(image["bytes"]) for image in images)
    figures.answers += len(answers)
    figures.words += sum(len(answer.split()) for answer in answers)
    return {"id": place.id, "images": images, "messages": messages}


def _read_image(path: str, sha256: str) -> dict[str, Any]:
    """An image's bytes, which must still be those that the seed was checked with."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read any more ({error.strerror}); {_AGAIN}") from error
    if sha256_bytes(data) != sha256:
        raise UserError(f"{path}: changed since the seed was read; {_AGAIN}")
    return {"bytes": data, "path": Path(path).name}
