"""The files that a seed's ``path`` names, and the format that they are in."""

import glob
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from syntune.errors import UserError
from syntune.settings.seeds import SeedSettings

_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40})(?:/(.+))?")

_JSON = (".jsonl", ".ndjson", ".json")
SUFFIXES = {
    "jsonl": _JSON,
    "llava": _JSON,
    "messages": _JSON,
    "parquet": (".parquet",),
    "webdataset": (".tar", ".tar.gz", ".tgz"),
    "image_folder": (".csv", ".jsonl", ".parquet"),
}
"""Endings of the files of records, by format."""

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".heic", ".avif")
"""Names of pictures; those that cannot be decoded are refused as such, not passed over."""

_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SAVED = ("state.json", "dataset_dict.json")
_OTHERS = ("dataset_info.json", "dataset_infos.json", *_SAVED)
"""What datasets writes beside records."""


_SPLIT = re.compile(r"(train|test|val|dev|eval)(?:ing|id|idation|uation)?(?=[-_.\d]|$)", re.IGNORECASE)
"""Names of files and folders that hold a part of a dataset."""


class HubPath(NamedTuple):
    """A dataset of the Hugging Face hub at a commit, and the files of it that are meant; None means all."""

    repo: str
    commit: str
    pattern: str | None


class Found(NamedTuple):
    """Files, or folders, of one format, in order."""

    format: str
    paths: list[Path]


def hub_path(path: str) -> HubPath | None:
    """``owner/name@commit/PATTERN`` taken apart; None if ``path`` is a local one."""
    found = _HUB.fullmatch(path)
    return HubPath(*found.groups()) if found else None


def find_records(path: str, settings: SeedSettings) -> Found:
    """The files, or for formats that are folders the folders, that a local ``path`` of a seed names.

    Raises:
        UserError: nothing lies there, or which format it is cannot be told.
    """
    places = _places(path)
    found = [_in_folder(place, settings.format) if place.is_dir() else _file(place, settings) for place in places]
    for place in (place for one in found for place in one.paths):
        if not place.is_file() and not place.is_dir():
            raise UserError(f"{place}: not a regular file")
    formats = sorted({one.format for one in found})
    if len(formats) > 1:
        raise UserError(f"{path}: files of several formats ({', '.join(formats)}); name those of one")
    return Found(formats[0], [place for one in found for place in one.paths])


def watched_files(settings: SeedSettings) -> list[str]:
    """The local files whose change makes a seed stale: those of records, not the pictures."""
    return [str(file) for path in settings.paths if hub_path(path) is None for file in _watched(path, settings)]


def images_folder(settings: SeedSettings) -> str | None:
    """The local folder of a seed's images, if it has one: that of the setting, or a folder of pictures itself."""
    if settings.images:
        return None if hub_path(settings.images) else settings.images
    for path in settings.paths:
        if os.path.isdir(path) and find_records(path, settings) == Found("image_folder", [Path(path)]):
            return path
    return None


def _watched(path: str, settings: SeedSettings) -> Iterator[Path]:
    """The files of records at one path; a file that a rule has yet to make is named as it is."""
    if not os.path.lexists(path) and not glob.has_magic(path):
        yield Path(path)
        return
    for place in find_records(path, settings).paths:
        if place.is_dir():
            yield from (place / name for name in (*_METADATA, *_SAVED) if (place / name).is_file())
        else:
            yield place


def _places(path: str) -> list[Path]:
    """The files or folders that a path or a pattern names."""
    if os.path.lexists(path):
        return [Path(path)]
    matches = [Path(match) for match in sorted(glob.glob(path, recursive=True))]
    if not matches:
        what = "matches nothing" if glob.has_magic(path) else "does not exist"
        raise UserError(f"{path} {what} (paths start from {Path.cwd()})")
    if "**" in path:
        matches = [match for match in matches if not match.is_dir()]
    return [match for match in matches if match.name not in _OTHERS]


def _file(file: Path, settings: SeedSettings) -> Found:
    """One file and its format: by its name, else by how it begins."""
    if not file.is_file():
        raise UserError(f"{file}: not a regular file")
    if settings.format == "saved":
        raise UserError(f"{file}: a saved dataset is a folder (save_to_disk); name that")
    if settings.format != "auto":
        return Found(settings.format, [file])
    format_ = _format_of_name(file.name) or _format_of_content(file)
    if format_ is None:
        raise UserError(f"{file}: which format it is cannot be told; set format: {_choices()}")
    return Found(format_, [file])


def _format_of_name(name: str) -> str | None:
    """The format that a file's name says."""
    lower = name.lower()
    if lower.endswith(".csv") or lower in _METADATA:
        return "image_folder"
    return next((format_ for format_, endings in SUFFIXES.items() if lower.endswith(endings)), None)


def _format_of_content(file: Path) -> str | None:
    """The format that the first bytes of a file say."""
    with file.open("rb") as opened:
        head = opened.read(512)
    if head.startswith(b"PAR1"):
        return "parquet"
    if head[257:262] == b"ustar":
        return "webdataset"
    return "jsonl" if head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"[", b"{") else None


def _in_folder(folder: Path, format_: str) -> Found:
    """What a folder holds, at its top or, if there is nothing, in its folders."""
    top = _listed([folder])
    if format_ in ("auto", "saved") and any(entry.name in _SAVED for entry in top):
        return Found("saved", [folder])
    found = _records(top, format_)
    below = [] if found else _listed(Path(entry) for entry in top if entry.is_dir())
    found = found or _records(below, format_)
    if len(found) > 1:
        raise UserError(f"{folder} holds files of several formats; set format: {' or '.join(sorted(found))}")
    for name, records in found.items():
        _refuse_splits(folder, records)
        return Found(name, records)
    if format_ in ("auto", "image_folder") and any(is_image(entry.name) for entry in (*top, *below)):
        _refuse_other_tables(folder, [*top, *below])
        return Found("image_folder", [folder])
    wanted = "records of a known format" if format_ == "auto" else f"records of format {format_}"
    raise UserError(f"{folder} holds no {wanted} (known: {_choices()})")


def _refuse_splits(folder: Path, files: list[Path]) -> None:
    """Refuse a folder of several splits: what is kept for tests would be trained on."""
    splits = {}
    for file in files:
        found = filter(None, map(_SPLIT.match, file.relative_to(folder).parts))
        splits.update({match[1].lower(): file for match in found})
    if len(splits) > 1:
        first = splits[min(splits)].relative_to(folder)
        raise UserError(
            f"{folder} holds several splits ({', '.join(sorted(splits))}); set path to the files of one, as a pattern "
            f"(there is {first})"
        )


def _refuse_other_tables(folder: Path, entries: list[os.DirEntry]) -> None:
    """Refuse pictures beside a table of another name, rather than miss a .txt beside each."""
    table = next((entry for entry in entries if entry.name.lower().endswith((".csv", ".tsv"))), None)
    if table and not any(entry.name.endswith(".txt") for entry in entries):
        raise UserError(f"{folder} holds pictures and {table.name}; make that metadata.csv, or set path to the table")


def _records(entries: list[os.DirEntry], format_: str) -> dict[str, list[Path]]:
    """Files of records by format; files of metadata explain what lies beside them and come first.

    A .json of a picture's own name, as img2dataset writes it, tells of that picture; it holds no records.
    """
    metadata = [Path(entry) for entry in entries if entry.name in _METADATA]
    if format_ in ("auto", "image_folder") and metadata:
        return {"image_folder": metadata}
    found: dict[str, list[Path]] = {}
    told = {f"{os.path.splitext(entry.path)[0]}.json" for entry in entries if is_image(entry.name)}
    for entry in entries:
        own = _format_of_name(entry.name)
        if own is None or own == "image_folder" or entry.name in _OTHERS or entry.path in told or entry.is_dir():
            continue
        if format_ == "auto":
            found.setdefault(own, []).append(Path(entry))
        elif format_ not in ("image_folder", "saved") and entry.name.lower().endswith(SUFFIXES[format_]):
            found.setdefault(format_, []).append(Path(entry))
    return found


def _listed(folders: Iterable[Path]) -> list[os.DirEntry]:
    """What lies in folders, in order, without hidden files."""
    entries = (entry for folder in folders for entry in os.scandir(folder) if not entry.name.startswith("."))
    return sorted(entries, key=lambda entry: entry.path)


def is_image(name: str) -> bool:
    """Whether a file's name is a picture's."""
    return name.lower().endswith(IMAGE_SUFFIXES)


def _choices() -> str:
    """The formats to choose from."""
    return ", ".join([*SUFFIXES, "saved"])
