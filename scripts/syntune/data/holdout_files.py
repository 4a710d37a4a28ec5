"""What a dataset holds out, as files: a shard for validation, and the questions of its rows for a benchmark."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyarrow import Table, binary, schema, string, struct
from pyarrow.parquet import ParquetFile, ParquetWriter

from syntune.artifacts.manifests import Part, read_manifest, write_manifest
from syntune.artifacts.shards import IMAGE_MARK
from syntune.data.holdout import choose_rows, seed_of
from syntune.data.mixing import in_shards
from syntune.data.scratch import scratch_database
from syntune.data.shards import write_shard
from syntune.data.statistics import Statistics
from syntune.files import atomic_directory
from syntune.settings.datasets import DatasetSettings
from syntune.settings.holdout_names import QUESTIONS, SHARD

_QUESTIONS = schema(
    [
        ("id", string()),
        ("image", struct([("bytes", binary()), ("path", string())])),
        ("question", string()),
        ("answer", string()),
    ]
)
_BATCH = 64


def write_holdout(name: str, settings: DatasetSettings, rows_manifest: Path, folder: Path, manifest: Path) -> None:
    """Write the rows that a dataset holds out into ``folder``, then their manifest.

    Args:
        name: the dataset.
        settings: the dataset's.
        rows_manifest: of its own rows.
        folder: folder to write.
        manifest: manifest to write.

    Raises:
        UserError: no row would be left to train on, or an image changed since the seed was read.
    """
    rows = read_manifest(rows_manifest)
    dropped: Counter[str] = Counter()
    statistics = Statistics()
    with atomic_directory(folder) as made:
        with scratch_database(made) as database:
            chosen = choose_rows(name, rows_manifest, settings.holdout, settings.limit, dropped, database)
        write_shard(made / SHARD, sorted(map(in_shards, chosen)), settings.caption_prompts, statistics)
        asked = _write_questions(made / SHARD, made / QUESTIONS)
    write_manifest(
        manifest,
        stage="hold_out",
        name=name,
        parts=[
            Part.from_file(folder / SHARD, manifest.parent, len(chosen)),
            Part.from_file(folder / QUESTIONS, manifest.parent, asked),
        ],
        packages=("datasets", "pyarrow"),
        rows_in=rows.rows_out,
        rows_out=len(chosen),
        dropped=dict(sorted(dropped.items())),
        inputs={"rows": rows.content, "seed": seed_of(rows)},
        settings=settings.model_dump(include={"holdout", "limit", "caption_prompts"}),
        details=statistics.as_details(),
    )


def _write_questions(shard: Path, output: Path) -> int:
    """Write the first question and answer of each row about one image; returns how many."""
    asked = 0
    with ParquetFile(shard) as file, ParquetWriter(output, _QUESTIONS, compression="zstd") as writer:
        for batch in file.iter_batches(_BATCH):
            questions = list(_questions(batch.to_pylist()))
            writer.write_table(Table.from_pylist(questions, _QUESTIONS))
            asked += len(questions)
    return asked


def _questions(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows about one image as questions."""
    for row in rows:
        asked, answered, *_ = row["messages"]
        question = asked["content"].replace(IMAGE_MARK, "").strip()
        if len(row["images"]) == 1 and question:
            yield {"id": row["id"], "image": row["images"][0], "question": question, "answer": answered["content"]}
