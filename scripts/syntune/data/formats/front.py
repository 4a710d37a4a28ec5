"""The one way in: from a seed's settings to its records and faults."""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from syntune.data.formats.hub import fetch
from syntune.data.formats.image_folder import read_image_folder
from syntune.data.formats.json_files import read_json_file
from syntune.data.formats.parquet import read_parquet, read_saved
from syntune.data.formats.records import LFS_POINTER, Fault, Record, Row, Unreadable
from syntune.data.formats.rows import id_of, read_row
from syntune.data.formats.webdataset import read_webdataset
from syntune.errors import UserError
from syntune.settings.seed_files import find_records, hub_path
from syntune.settings.seeds import SeedSettings

_READERS: dict[str, Callable[[Path], Iterator[Row | Fault]]] = {
    "jsonl": read_json_file,
    "llava": read_json_file,
    "messages": read_json_file,
    "parquet": read_parquet,
    "webdataset": read_webdataset,
    "image_folder": read_image_folder,
    "saved": read_saved,
}


def read_records(settings: SeedSettings) -> Iterator[Record | Fault]:
    """The records of a seed, from the top, up to its limit; what cannot be read as one is a fault.

    Raises:
        UserError: there is no such file, its format cannot be told, or it is damaged from some place on.
    """
    return islice(_read(settings), settings.limit)


def _read(settings: SeedSettings) -> Iterator[Record | Fault]:
    """All records, path by path."""
    images = _images_folder(settings)
    for path in settings.paths:
        address = hub_path(path)
        found = find_records(str(fetch(address)) if address else path, settings)
        for place in found.paths:
            _refuse_pointer(place)
            for row in _READERS[found.format](place):
                yield row if isinstance(row, Fault) else _record(row, images)


def _refuse_pointer(place: Path) -> None:
    """Refuse what a clone without Git LFS holds in a file's place."""
    if place.is_file():
        with place.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise UserError(f"{place}: a pointer of Git LFS, not the file itself; fetch it with git lfs pull")


def _images_folder(settings: SeedSettings) -> Path | None:
    """The folder that image paths start from, if the settings name one."""
    if settings.images is None:
        return None
    address = hub_path(settings.images)
    return fetch(address) if address else Path(settings.images)


def _record(row: Row, images: Path | None) -> Record | Fault:
    """A row as a record, or what is wrong with it."""
    try:
        return read_row(row, images)
    except Unreadable as error:
        return Fault(row.where, _known_id(row), error.reason, str(error))


def _known_id(row: Row) -> str | None:
    """The id of a faulty row, if it has one."""
    try:
        return id_of(row.value)
    except Unreadable:
        return None
