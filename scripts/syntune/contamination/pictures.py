"""The pictures of the findings' examples: of the benchmark's question, and of the training row that holds it."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from pyarrow.parquet import ParquetFile

from syntune.artifacts.findings import ExamplePictures, Findings, FoundQuestion
from syntune.artifacts.shards import shard_files
from syntune.benchmarks.protocol import Protocol
from syntune.pages.thumbnails import Thumbnails

MOST_IMAGES = 2
"""Images that are shown of a row."""


def example_pictures(findings: Findings, protocols: Iterable[Protocol], manifest: Path) -> ExamplePictures:
    """Thumbnails for each example, until they take the room of a page; reads only what the examples name.

    Args:
        findings: those on the dataset.
        protocols: the benchmarks.
        manifest: of the dataset's shards.

    Raises:
        UserError: a benchmark cannot be read, or a shard is missing or has changed.
    """
    thumbnails = Thumbnails()
    pictures = ExamplePictures(dataset=findings.dataset, questions={}, rows={})
    rows: set[str] = set()
    for protocol in protocols:
        examples = list(_examples(findings, protocol.name))
        rows |= {example.row for example in examples}
        wanted = {str(example.question_id) for example in examples}
        shown = pictures.questions.setdefault(protocol.name, {})
        for question in protocol.questions() if wanted else ():
            if str(question.id) in wanted:
                name = f"question {question.id}"
                if uri := thumbnails.make(question.image, name, protocol.settings.max_pixels):
                    shown[str(question.id)] = uri
    for row, images in _images_of(rows, manifest):
        made = [thumbnails.make(image, f"row {row}") for image in images[:MOST_IMAGES]]
        pictures.rows[row] = [uri for uri in made if uri]
    return pictures


def _examples(findings: Findings, benchmark: str) -> Iterator[FoundQuestion]:
    """The examples of a benchmark."""
    found = findings.benchmarks.get(benchmark)
    for examples in found.examples.values() if found else ():
        yield from examples


def _images_of(rows: set[str], manifest: Path) -> Iterator[tuple[str, list[bytes]]]:
    """The images of rows; of row groups without one, only the ids are read."""
    for file in shard_files(manifest) if rows else ():
        with ParquetFile(file) as shard:
            for group in range(shard.num_row_groups):
                if rows.isdisjoint(shard.read_row_group(group, ["id"]).column("id").to_pylist()):
                    continue
                for row in shard.read_row_group(group, ["id", "images"]).to_pylist():
                    if row["id"] in rows:
                        yield row["id"], [image["bytes"] for image in row["images"]]
