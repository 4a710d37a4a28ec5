"""From a seed's records to canonical rows in a fixed number of chunks.

A row is ``{"id", "images", "image_sha256", "text"}``: Data-Juicer's multimodal row with its images' paths, which start
from the working folder where they lie in it, and their content hashes. A changed image thus changes the chunk and
everything made from it.
"""

import io
import logging
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from PIL import Image
from tqdm import tqdm

from syntune.artifacts.manifests import Part, write_manifest
from syntune.data.faults import Faults, counted
from syntune.data.formats.front import read_records
from syntune.data.formats.records import BAD_IMAGE, MISSING_IMAGE, Fault, Record
from syntune.data.ids import Ids
from syntune.errors import UserError
from syntune.files import atomic_directory, atomic_file, sha256_bytes, write_jsonl
from syntune.images import FORMATS, open_image
from syntune.settings.seeds import SeedSettings

log = logging.getLogger("ingest_seed")

_BATCH = 512
"""Records whose images are decoded at a time."""


class Checked(NamedTuple):
    """What decoding an image found: its hash and path in the rows or, of a bad image, the reason and the message."""

    sha256: str = ""
    path: str = ""
    reason: str = ""
    message: str = ""


def ingest_seed(name: str, settings: SeedSettings, rows: Path, manifest: Path, quarantine: Path | None = None) -> None:
    """Write ``chunk-00000.jsonl`` ... into the folder ``rows``, the list of dropped records, then the manifest.

    A seed's images that are no files of their own are written into its ``images/``. The chunks in order hold the rows
    in order, so their number changes no dataset.

    Args:
        name: the seed's.
        settings: the seed's.
        rows: folder for the chunks.
        manifest: file to write.
        quarantine: file for the dropped records, a JSON line each; beside the manifest, if not given.

    Raises:
        UserError: records or images are bad (unless these are dropped), an id repeats, or no row is left.
    """
    quarantine = quarantine or manifest.with_name(f"{name}.quarantine.jsonl")
    with atomic_file(quarantine) as listed, listed.open("w", encoding="utf-8") as file:
        faults = Faults(settings, file)
        ingestion = _Ingestion(settings, rows, faults)
        with atomic_directory(rows) as folder:
            counts = ingestion.write_chunks(folder)
            faults.check(name)
            if not any(counts):
                why = f" (dropped: {counted(faults.dropped)})" if faults.dropped else ""
                raise UserError(f"seeds.{name}: no row is left of the {faults.read} records in {settings.path}{why}")
            if not all(counts):
                raise UserError(f"seeds.{name}: {sum(counts)} rows do not fill {len(counts)} chunks; lower chunks")
    for key, count in sorted(ingestion.unused.items()):
        log.warning("key %s of %d records is not read", key, count)
    for note, count in sorted(ingestion.notes.items()):
        log.info("%d records: %s", count, note)
    parts = [Part.from_file(rows / _chunk(index), manifest.parent, count) for index, count in enumerate(counts)]
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
            "unused_keys": dict(sorted(ingestion.unused.items())),
            "read_otherwise": dict(sorted(ingestion.notes.items())),
        },
    )


class _Ingestion:
    """The pass over a seed's records and what it counts."""

    def __init__(self, settings: SeedSettings, rows: Path, faults: Faults) -> None:
        """``rows`` is where the folder will lie in the end."""
        self.settings = settings
        self.rows = rows
        self.faults = faults
        self.unused: Counter[str] = Counter()
        self.notes: Counter[str] = Counter()
        self.images: set[str] = set()
        self._ids = Ids(settings.repeated_ids)
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
        records = self.faults.sift(read_records(self.settings))
        workers = min(8, len(os.sched_getaffinity(0)))
        with ThreadPoolExecutor(workers) as pool, tqdm(desc="records", unit="", disable=None) as progress:
            while batch := list(islice(records, _BATCH)):
                checked = self._check_images(batch, folder, pool)
                for record, images in zip(batch, checked, strict=True):
                    row = self._row(record, images)
                    if row:
                        yield row
                progress.update(len(batch))
            log.info("%d records read, %d dropped", self.faults.read, self.faults.dropped.total())

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
            data = path.read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Checked(reason=MISSING_IMAGE, message=f"{path}: cannot be read ({reason})")
        return self._check_bytes(data, str(path), str(path))

    def _store(self, data: bytes, where: str, folder: Path) -> Checked:
        """Decode an image that came as bytes and write it to ``images/``, named by its hash."""
        sha256 = sha256_bytes(data)
        name = f"images/{sha256[:2]}/{sha256}"
        checked = self._check_bytes(data, f"{where}: image", str(self.rows / name))
        if checked.reason:
            return checked
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            suffix = f".{(image.format or 'png').lower()}"
        file = folder / f"{name}{suffix}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        return checked._replace(path=f"{checked.path}{suffix}")

    def _check_bytes(self, data: bytes, name: str, path: str) -> Checked:
        """Decode an image's bytes whole."""
        try:
            open_image(data, name, self.settings.max_pixels)
        except UserError as error:
            return Checked(reason=BAD_IMAGE, message=str(error))
        return Checked(sha256_bytes(data), path)

    def _row(self, record: Record, images: list[Checked]) -> dict | None:
        """The canonical row of a record; None where an image is bad or the id repeats."""
        bad = next((image for image in images if image.reason), None)
        if bad:
            self.faults.add(Fault(record.where, record.id, bad.reason, bad.message))
            return None
        hashes = [image.sha256 for image in images]
        row_id = self._ids.take(record, hashes)
        if isinstance(row_id, Fault):
            self.faults.add(row_id)
            return None
        self.unused.update(record.unused)
        self.notes.update(record.notes)
        self.images.update(hashes)
        return {"id": row_id, "images": [image.path for image in images], "image_sha256": hashes, "text": record.text}


def _chunk(index: int) -> str:
    """The file name of a chunk."""
    return f"chunk-{index:05d}.jsonl"
