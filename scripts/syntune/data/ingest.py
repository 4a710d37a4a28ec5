"""From a seed's records to canonical rows in a fixed number of chunks.

A row is ``{"id", "images", "image_sha256", "text"}``: Data-Juicer's multimodal row with its images' paths, which start
from the working folder where they lie in it, and their content hashes. A changed image thus changes the chunk and
everything made from it.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from tqdm import tqdm

from syntune.artifacts.manifests import Part, write_manifest
from syntune.data.chunks import chunk_name, write_chunks
from syntune.data.distinct import DistinctCount
from syntune.data.image_checks import Checked, ImageChecks
from syntune.data.records import Record, read_records
from syntune.errors import UserError
from syntune.files import atomic_directory, canonical_json, sha256_bytes
from syntune.settings.seeds import SeedSettings

log = logging.getLogger("ingest_seed")

_BATCH = 512
"""Records whose images are decoded at a time."""


def ingest_seed(name: str, settings: SeedSettings, rows: Path, manifest: Path, cache: Path | None = None) -> None:
    """Write ``chunk-00000.jsonl`` ... into the folder ``rows``, then the manifest.

    A Parquet seed's images are written into its ``images/``. What is found out about images is kept in the file
    ``cache``.

    Raises:
        UserError: a record is malformed, an id repeats, an image is bad (unless these are dropped), or no row is left.
    """
    ingestion = _Ingestion(settings)
    limits = {"max_pixels": settings.max_pixels}
    with atomic_directory(rows) as folder, ImageChecks(cache, limits, folder, rows) as checks:
        counts = write_chunks(ingestion.rows(checks), folder, settings.chunks, name)
        if not any(counts):
            raise UserError(f"seeds.{name}: no row is left of the {ingestion.read} records in {settings.path}")
    for key, count in sorted(ingestion.unused.items()):
        log.warning("key %s of %d records is not read", key, count)
    parts = [Part.from_file(rows / chunk_name(index), manifest.parent, count) for index, count in enumerate(counts)]
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
        details={"images": len(ingestion.images), "unused_keys": dict(sorted(ingestion.unused.items()))},
    )


class _Ingestion:
    """The pass over a seed's records and what it counts."""

    def __init__(self, settings: SeedSettings) -> None:
        """Nothing read yet."""
        self.settings = settings
        self.read = 0
        self.dropped: Counter[str] = Counter()
        self.unused: Counter[str] = Counter()
        self.images = DistinctCount()
        self._seen: dict[str, str] = {}

    def rows(self, checks: ImageChecks) -> Iterator[dict]:
        """The rows whose images are good, in the records' order."""
        records = read_records(self.settings)
        with tqdm(desc="records", unit="", disable=None) as progress:
            while batch := list(islice(records, _BATCH)):
                for record, images in zip(batch, _check_images(batch, checks), strict=True):
                    row = self._row(record, images)
                    if row:
                        yield row
                progress.update(len(batch))
            log.info("%d records read, %d dropped", self.read, self.dropped.total())

    def _row(self, record: Record, images: list[Checked]) -> dict | None:
        """The canonical row of a record; None where an image is bad and such rows are dropped."""
        self.read += 1
        self.unused.update(record.unused)
        row_id = self._unique_id(record, images)
        for image in images:
            if image.reason:
                self._drop(record, image)
                return None
        for image in images:
            self.images.add(image.sha256)
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


def _check_images(batch: list[Record], checks: ImageChecks) -> list[list[Checked]]:
    """Check the images of each of a batch's records."""
    files = checks.check_files(image for record in batch for image in record.images if isinstance(image, Path))
    inside = [(data, record.where) for record in batch for data in record.images if isinstance(data, bytes)]
    stored = iter(checks.store(inside))
    return [[files[image] if isinstance(image, Path) else next(stored) for image in record.images] for record in batch]
