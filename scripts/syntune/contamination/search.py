"""A dataset's shards searched for questions, a row group at a time."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from pyarrow.parquet import ParquetFile, read_metadata
from tqdm import tqdm

from syntune.artifacts.shards import shard_files
from syntune.contamination.parallel import in_order
from syntune.contamination.questions import QuestionIndex
from syntune.contamination.texts import without_marks
from syntune.files import sha256_bytes
from syntune.images import open_image
from syntune.matching.looks import Fingerprint, fingerprint

_REMEMBERED = 2**20
"""Images whose fingerprint a process remembers: rows that share one decode it once."""


class Sighting(NamedTuple):
    """Where a question or an image was seen; ``distance`` is None where its very pixels were, or none at all."""

    row: str
    distance: int | None = None


class Sightings:
    """What was seen, each where it was first seen.

    Attributes:
        rows: rows searched.
        texts: texts of the index, by place.
        same: images of the index that are there pixel for pixel.
        near: images of the index that something looks like, where it looks the most like it.
        both: questions that stand in one row with their image.
        rows_of: the rows that hold such questions, by benchmark.
    """

    def __init__(self) -> None:
        """Nothing seen yet."""
        self.rows = 0
        self.texts: dict[int, Sighting] = {}
        self.same: dict[int, Sighting] = {}
        self.near: dict[int, Sighting] = {}
        self.both: dict[int, Sighting] = {}
        self.rows_of: dict[str, list[str]] = {}

    def add(self, later: "Sightings") -> None:
        """Add what was seen in later rows."""
        self.rows += later.rows
        self.texts = later.texts | self.texts
        self.same = later.same | self.same
        self.both = later.both | self.both
        for image, sighting in later.near.items():
            self.see_near(image, sighting)
        for benchmark, rows in later.rows_of.items():
            self.rows_of.setdefault(benchmark, []).extend(rows)

    def see_near(self, image: int, sighting: Sighting) -> None:
        """Keep the nearest, of equally near ones the first."""
        if image not in self.near or sighting.distance < self.near[image].distance:
            self.near[image] = sighting


def search_shards(manifest: Path, index: QuestionIndex, processes: int = 1) -> Sightings:
    """Search every row of a dataset; of its rows, only the ids of contaminated ones are kept.

    Raises:
        UserError: a shard is missing or has changed, or an image in it is damaged.
    """
    groups = [(file, group, rows) for file in shard_files(manifest) for group, rows in enumerate(_groups(file))]
    sightings = Sightings()
    with tqdm(total=sum(rows for _, _, rows in groups), desc="rows", unit="", disable=None) as progress:
        for found in in_order(_search_group, groups, processes, _prepare, index):
            sightings.add(found)
            progress.update(found.rows)
    return sightings


def _groups(file: Path) -> list[int]:
    """The rows of each row group of a shard."""
    metadata = read_metadata(file)
    return [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]


class _Searcher:
    """The index, and the fingerprints of the images that were seen last."""

    def __init__(self, index: QuestionIndex) -> None:
        """Nothing remembered yet."""
        self.index = index
        self._fingerprints: dict[str, Fingerprint] = {}
        self._near = lru_cache(maxsize=1024)(index.near_images)

    def search(self, row: dict[str, Any], where: str, sightings: Sightings) -> None:
        """Add what one row holds."""
        texts: set[int] = set()
        for message in row["messages"]:
            texts |= self.index.texts_in(without_marks(message["content"]))
        for text in texts:
            sightings.texts.setdefault(text, Sighting(row["id"]))
        benchmarks = set()
        for image in row["images"]:
            for seen, distance in self._seen(image["bytes"], f"{where}: row {row['id']}: image").items():
                sighting = Sighting(row["id"], distance)
                if distance is None:
                    sightings.same.setdefault(seen, sighting)
                else:
                    sightings.see_near(seen, sighting)
                for question in self.index.asking(texts, seen):
                    sightings.both.setdefault(question, sighting)
                    benchmarks.add(self.index.questions[question].benchmark)
        for benchmark in benchmarks:
            sightings.rows_of.setdefault(benchmark, []).append(row["id"])
        sightings.rows += 1

    def _seen(self, content: bytes, name: str) -> dict[int, int | None]:
        """The images of the index that an image is, or looks like."""
        image = self._fingerprint_of(content, name)
        same = self.index.same_image(image)
        near = self._near(image)
        return near if same is None else {**near, same: None}

    def _fingerprint_of(self, content: bytes, name: str) -> Fingerprint:
        """The fingerprint of an image's content. Its size was checked when the seed was read."""
        key = sha256_bytes(content)
        if key not in self._fingerprints:
            if len(self._fingerprints) == _REMEMBERED:
                self._fingerprints.clear()
            decoded = open_image(content, name, max_pixels=None)
            self._fingerprints[key] = fingerprint(decoded, self.index.hash_size)
        return self._fingerprints[key]


_searcher: _Searcher


def _prepare(index: QuestionIndex) -> None:
    """Give this process the index."""
    global _searcher
    _searcher = _Searcher(index)


def _search_group(task: tuple[Path, int, int]) -> Sightings:
    """Search one row group."""
    file, group, _ = task
    sightings = Sightings()
    with ParquetFile(file) as shard:
        rows = shard.read_row_group(group, ["id", "images", "messages"]).to_pylist()
    for row in rows:
        _searcher.search(row, str(file), sightings)
    return sightings
