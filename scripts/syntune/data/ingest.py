"""From a seed's records to canonical rows in a fixed number of chunks.

A row is ``{"id", "images", "image_sha256", "text"}``: Data-Juicer's multimodal row with its images' paths, which start
from the working folder where they lie in it, and their content hashes. A changed image thus changes the chunk and
everything made from it.
"""

import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tqdm import tqdm

from syntune.artifacts.manifests import Part, write_manifest
from syntune.data.records import Record, read_records
from syntune.errors import UserError
from syntune.files import atomic_directory, canonical_json, sha256_bytes, write_jsonl
from syntune.images import UPRIGHT, format_of, open_image, orientation_of, read_image
from syntune.settings.seeds import SeedSettings

log = logging.getLogger("ingest_seed")

_BATCH = 512
"""Records whose images are decoded at a time."""


class Checked(NamedTuple):
    """What decoding an image found: its hash and path in the rows or, of a bad image, the reason and the message.

    ``is_turned``: it carries an orientation tag that asks for it.
    """

    sha256: str = ""
    path: str = ""
    reason: str = ""
    message: str = ""
    is_turned: bool = False


def ingest_seed(name: str, settings: SeedSettings, rows: Path, manifest: Path) -> None:
    """Write ``chunk-00000.jsonl`` ... into the folder ``rows``, then the manifest.

    A Parquet seed's images are written into its ``images/``. The chunks in order hold the rows in order, so their
    number changes no dataset.

    Raises:
        UserError: a record is malformed, an id repeats, an image is bad (unless these are dropped), or no row is left.
    """
    ingestion = _Ingestion(settings, rows)
    with atomic_directory(rows) as folder:
        counts = ingestion.write_chunks(folder)
        if not any(counts):
            raise UserError(f"seeds.{name}: no row is left of the {ingestion.read} records in {settings.path}")
        if not all(counts):
            raise UserError(f"seeds.{name}: {sum(counts)} rows do not fill {len(counts)} chunks; lower chunks")
    for key, count in sorted(ingestion.unused.items()):
        log.warning("key %s of %d records is not read", key, count)
    parts = [Part.from_file(rows / _chunk(index), manifest.parent, count) for index, count in enumerate(counts)]
    write_manifest(
        manifest,
        stage="ingest_seed",
        name=name,
        parts=parts,
        packages=("pillow", "pyarrow"),
        rows_in=ingestion.read,
        rows_out=sum(counts),
        dropped=dict(ingestion.dropped),
        settings=settings.model_dump(),
        details={
            "images": len(ingestion.images),
            "images_with_orientation_tag": len(ingestion.turned),
            "unused_keys": dict(sorted(ingestion.unused.items())),
        },
    )


class _Ingestion:
    """The pass over a seed's records and what it counts."""

    def __init__(self, settings: SeedSettings, rows: Path) -> None:
        """``rows`` is where the folder will lie in the end."""
        self.settings = settings
        self.rows = rows
        self.read = 0
        self.dropped: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.images: set[str] = set()
        self.turned: set[str] = set()
        self._seen: dict[str, str] = {}
        self._paths: dict[Path, Checked] = {}

    def write_chunks(self, folder: Path) -> list[int]:
        """Write the rows, in order, as chunks of equal size; returns the rows of each."""
        rows = folder / "rows.jsonl"
        total = write_jsonl(rows, self._rows(folder))
        chunks = self.settings.chunks
        counts = [total * (index + 1) // chunks - total * index // chunks for index in range(chunks)]
        with rows.open(encoding="utf-8") as lines:
            for index, count in enumerate(counts):
                with (folder / _chunk(index)).open("w", encoding="utf-8") as file:
                    file.writelines(islice(lines, count))
        rows.unlink()
        return counts

    def _rows(self, folder: Path) -> Iterator[dict]:
        """The rows whose images are good."""
        records = read_records(self.settings)
        workers = min(8, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers) as pool, tqdm(desc="records", unit="", disable=None) as progress:
            while batch := list(islice(records, _BATCH)):
                checked = self._check_images(batch, folder, pool)
                for record, images in zip(batch, checked, strict=True):
                    row = self._row(record, images)
                    if row:
                        yield row
                progress.update(len(batch))
            log.info("%d records read, %d dropped", self.read, self.dropped.total())

    def _check_images(self, batch: list[Record], folder: Path, pool: ThreadPoolExecutor) -> list[list[Checked]]:
        """Decode the batch's images, each file once in the whole pass."""
        new = {image for record in batch for image in record.images if isinstance(image, Path)} - self._paths.keys()
        names = sorted(new)
        self._paths.update(zip(names, pool.map(self._check_file, names), strict=True))
        inside = [(data, record.where) for record in batch for data in record.images if isinstance(data, bytes)]
        stored = pool.map(lambda pair: self._store(*pair, folder), inside)
        return [
            [self._paths[image] if isinstance(image, Path) else next(stored) for image in record.images]
            for record in batch
        ]

    def _check_file(self, path: Path) -> Checked:
        """Decode an image file whole."""
        try:
            data = read_image(path, self.settings.max_bytes)
        except UserError as error:
            return Checked(reason="bad image" if path.is_file() else "missing image", message=str(error))
        return self._check_bytes(data, str(path), str(path))

    def _store(self, data: bytes, where: str, folder: Path) -> Checked:
        """Decode an image that came as bytes and write it to ``images/``, named by its hash."""
        sha256 = sha256_bytes(data)
        name = f"images/{sha256[:2]}/{sha256}"
        checked = self._check_bytes(data, f"{where}: image", str(self.rows / name))
        if checked.reason:
            return checked
        suffix = f".{format_of(data)}"
        file = folder / f"{name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return checked._replace(path=f"{checked.path}{suffix}")

    def _check_bytes(self, data: bytes, name: str, path: str) -> Checked:
        """Decode an image's bytes whole."""
        try:
            open_image(data, name, self.settings.max_pixels, self.settings.max_bytes)
        except UserError as error:
            return Checked(reason="bad image", message=str(error))
        return Checked(sha256_bytes(data), path, is_turned=orientation_of(data) != UPRIGHT)

    def _row(self, record: Record, images: list[Checked]) -> dict | None:
        """The canonical row of a record; None where an image is bad and such rows are dropped."""
        self.read += 1
        self.unused.update(record.unused)
        row_id = self._unique_id(record, images)
        for image in images:
            if image.reason:
                self._drop(record, image)
                return None
        self.images.update(image.sha256 for image in images)
        self.turned.update(image.sha256 for image in images if image.is_turned)
        return {
            "id": row_id,
            "images": [image.path for image in images],
            "image_sha256": [image.sha256 for image in images],
            "text": record.text,
        }

    def _unique_id(self, record: Record, images: list[Checked]) -> str:
        """The record's own id, which must not repeat, or one derived from its content and numbered if that repeats."""
        if record.id is not None:
            if record.id in self._seen:
                raise UserError(
                    f"{record.where}: id {record.id} was used before ({self._seen[record.id]}); make the ids unique, "
                    "or leave them out and they are derived from the content"
                )
            self._seen[record.id] = record.where
            return record.id
        derived = base = sha256_bytes(canonical_json([[image.sha256 for image in images], record.text]).encode())[:16]
        number = 1
        while derived in self._seen:
            number += 1
            derived = f"{base}-{number}"
        self._seen[derived] = record.where
        return derived

    def _drop(self, record: Record, image: Checked) -> None:
        """Count a row with a bad image, or refuse it."""
        if self.settings.bad_image == "refuse":
            raise UserError(f"{record.where}: {image.message}; repair it, or set bad_image: drop")
        self.dropped[image.reason] += 1
        log.warning("dropped %s: %s", record.where, image.message)


def _chunk(index: int) -> str:
    """The file name of a chunk."""
    return f"chunk-{index:05d}.jsonl"
