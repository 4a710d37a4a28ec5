"""From a seed's records to canonical rows in a fixed number of chunks.

A row is ``{"id", "images", "image_sha256", "text"}``: Data-Juicer's multimodal row with its images' paths, which start
from the working folder where they lie in it, and their content hashes. A changed image thus changes the chunk and
everything made from it.
"""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from syntune.artifacts.manifests import Part, write_manifest
from syntune.data.batches import batches
from syntune.data.chunks import chunk_name, write_chunks
from syntune.data.distinct import DistinctCount
from syntune.data.faults import Faults, counted
from syntune.data.formats.front import read_records
from syntune.data.formats.records import Fault, Record
from syntune.data.ids import Ids
from syntune.data.image_cache import Traits
from syntune.data.image_checks import Checked, ImageChecks
from syntune.data.scratch import scratch_database
from syntune.errors import UserError
from syntune.files import atomic_directory, atomic_file
from syntune.settings.seeds import SeedSettings

log = logging.getLogger("ingest_seed")


def ingest_seed(
    name: str,
    settings: SeedSettings,
    rows: Path,
    manifest: Path,
    quarantine: Path | None = None,
    cache: Path | None = None,
) -> None:
    """Write ``chunk-00000.jsonl`` ... into the folder ``rows``, the list of dropped records, then the manifest.

    A seed's images that are no files of their own are written into its ``images/``.

    Args:
        name: the seed's.
        settings: the seed's.
        rows: folder for the chunks.
        manifest: file to write.
        quarantine: file for the dropped records, a JSON line each; beside the manifest, if not given.
        cache: file of what is known about images, kept from call to call; None keeps nothing.

    Raises:
        UserError: records or images are bad (unless these are dropped), an id repeats, or no row is left.
    """
    quarantine = quarantine or manifest.with_name(f"{name}.quarantine.jsonl")
    limits = {"max_pixels": settings.max_pixels, "max_bytes": settings.max_bytes}
    with atomic_file(quarantine) as listed, listed.open("w", encoding="utf-8") as file:
        faults = Faults(settings, file)
        ingestion = _Ingestion(name, settings, faults)
        with (
            atomic_directory(rows) as folder,
            ImageChecks(cache, limits, folder, rows) as checks,
            scratch_database(folder) as database,
        ):
            ids = Ids(settings.repeated_ids, database)
            counts = write_chunks(ingestion.rows(checks, ids), folder, settings.chunks, name)
            if not any(counts):
                why = f" (dropped: {counted(faults.dropped)})" if faults.dropped else ""
                raise UserError(f"seeds.{name}: no row is left of the {faults.read} records in {settings.path}{why}")
    for key, count in sorted(ingestion.unused.items()):
        log.warning("key %s of %d records is not read", key, count)
    for note, count in sorted(ingestion.notes.items()):
        log.info("%d records: %s", count, note)
    parts = [Part.from_file(rows / chunk_name(index), manifest.parent, count) for index, count in enumerate(counts)]
    write_manifest(
        manifest,
        stage="ingest_seed",
        name=name,
        parts=parts,
        packages=("pillow", "pyarrow"),
        rows_in=faults.read,
        rows_out=sum(counts),
        dropped=dict(sorted(faults.dropped.items())),
        settings=settings.model_dump(),
        details={
            "images": len(ingestion.images),
            "images_with_orientation_tag": len(ingestion.traits["is_turned"]),
            "images_with_transparent_pixels": len(ingestion.traits["is_transparent"]),
            "images_of_one_colour": len(ingestion.traits["is_plain"]),
            "unused_keys": dict(sorted(ingestion.unused.items())),
            "read_otherwise": dict(sorted(ingestion.notes.items())),
        },
    )


class _Ingestion:
    """The pass over a seed's records and what it counts."""

    def __init__(self, name: str, settings: SeedSettings, faults: Faults) -> None:
        """Nothing read yet."""
        self.name = name
        self.settings = settings
        self.faults = faults
        self.unused: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.images = DistinctCount()
        self.traits = {trait: DistinctCount() for trait in Traits._fields}

    def rows(self, checks: ImageChecks, ids: Ids) -> Iterator[dict]:
        """The rows whose images are good, in the records' order."""
        records = self.faults.sift(read_records(self.settings))
        with tqdm(desc="records", unit="", disable=None) as progress:
            for batch in batches(records):
                for record, images in zip(batch, _check_images(batch, checks), strict=True):
                    row = self._row(record, images, ids)
                    if row:
                        yield row
                progress.update(len(batch))
            self.faults.check(self.name)
            log.info("%d records read, %d dropped", self.faults.read, self.faults.dropped.total())

    def _row(self, record: Record, images: list[Checked], ids: Ids) -> dict | None:
        """The canonical row of a record; None where an image is bad or the id repeats."""
        bad = next((image for image in images if image.reason), None)
        if bad:
            self.faults.add(Fault(record.where, record.id, bad.reason, bad.message))
            return None
        hashes = [image.sha256 for image in images]
        row_id = ids.take(record, hashes)
        if isinstance(row_id, Fault):
            self.faults.add(row_id)
            return None
        self.unused.update(record.unused)
        self.notes.update(record.notes)
        for image in images:
            self.images.add(image.sha256)
            for trait, count in self.traits.items():
                if getattr(image.traits, trait):
                    count.add(image.sha256)
        return {"id": row_id, "images": [image.path for image in images], "image_sha256": hashes, "text": record.text}


def _check_images(batch: list[Record], checks: ImageChecks) -> list[list[Checked]]:
    """Check the images of each of a batch's records."""
    files = checks.check_files(image for record in batch for image in record.images if isinstance(image, Path))
    numbered = (pair for record in batch for pair in enumerate(record.images, start=1))
    inside = [(image, f"image {number}") for number, image in numbered if isinstance(image, bytes)]
    stored = iter(checks.store(inside))
    return [[files[image] if isinstance(image, Path) else next(stored) for image in record.images] for record in batch]
