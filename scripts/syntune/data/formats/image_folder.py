"""Folders of pictures, with a table of captions or a text file beside each picture."""

import csv
import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from syntune.data.formats.json_files import read_json_file
from syntune.data.formats.parquet import read_parquet
from syntune.data.formats.records import NO_TEXT, WRONG_VALUE, Fault, Row, legible
from syntune.errors import UserError
from syntune.settings.seed_files import SUFFIXES, is_image

log = logging.getLogger("ingest_seed")


def read_image_folder(path: Path) -> Iterator[Row | Fault]:
    """The pictures of a table (``metadata.csv``, ``.jsonl``, ``.parquet``), or of a folder with a ``.txt`` beside each.

    A table's ``file_name`` starts from the table's folder, as Hugging Face's ``imagefolder`` has it.

    Raises:
        UserError: the table is malformed.
    """
    if path.is_dir():
        yield from _read_captioned(path)
        return
    for row in _read_table(path):
        if isinstance(row, Row) and _lacks_picture(row.value):
            yield Fault(row.where, None, WRONG_VALUE, "file_name is empty")
        else:
            yield row


def _read_table(path: Path) -> Iterator[Row | Fault]:
    """The rows of a table, by its name."""
    name = path.name.lower()
    if name.endswith(".csv"):
        return _read_csv(path)
    if name.endswith(".parquet"):
        return read_parquet(path)
    if name.endswith(SUFFIXES["jsonl"]):
        return read_json_file(path)
    raise UserError(f"{path}: no table of pictures; save it as .csv with commas between, .jsonl or .parquet")


def _lacks_picture(value: Any) -> bool:
    """Whether a row of a table leaves its column of files' names empty."""
    names = [value[key] for key in ("file_name", "file_names") if key in value] if isinstance(value, dict) else []
    return bool(names) and not any(names)


def _read_csv(path: Path) -> Iterator[Row | Fault]:
    """The rows of a CSV file with a header."""
    csv.field_size_limit(2**31 - 1)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if repeated := [name for name, count in Counter(header).items() if name and count > 1]:
                raise UserError(f"{path}: the header names {repeated[0]} twice; rename one")
            for number, cells in enumerate((cells for cells in reader if cells), start=1):
                where = f"{path}: row {number}"
                if len(cells) == len(header):
                    yield Row(where, dict(zip(header, cells, strict=True)), path.parent)
                else:
                    yield Fault(where, None, WRONG_VALUE, f"has {len(cells)} cells, the header has {len(header)}")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8") from error
    except csv.Error as error:
        raise UserError(f"{path}: not a readable CSV file ({error})") from error


def _read_captioned(folder: Path) -> Iterator[Row | Fault]:
    """The pictures under a folder, in order, each with the text of the file of its name; its path is the id."""
    lonely, seen = 0, set()
    for here, below, names in os.walk(folder, followlinks=True):
        below[:] = sorted(name for name in below if not name.startswith("."))
        if (place := os.path.realpath(here)) in seen:
            below.clear()  # a link that leads back
            continue
        seen.add(place)
        pictures = {Path(name).stem for name in names if is_image(name)}
        lonely += sum(name.endswith(".txt") and Path(name).stem not in pictures for name in names)
        for name in sorted(names):
            picture = Path(here, name)
            if name.startswith(".") or not is_image(name):
                continue
            row_id = picture.relative_to(folder).as_posix()
            if legible(row_id) != row_id:
                told = legible(str(picture))
                yield Fault(told, legible(row_id), WRONG_VALUE, "its name is not UTF-8; rename it")
                continue
            caption = picture.with_suffix(".txt")
            if not caption.is_file():
                yield Fault(str(picture), row_id, NO_TEXT, f"there is no {caption.name} beside it")
                continue
            try:
                text = caption.read_text(encoding="utf-8-sig").strip()
            except UnicodeDecodeError as error:
                yield Fault(str(picture), row_id, WRONG_VALUE, f"{caption.name} is not UTF-8 text ({error.reason})")
                continue
            yield Row(str(picture), {"id": row_id, "image": row_id, "text": text}, folder)
    if lonely:
        log.warning("%s: %d .txt files have no picture beside them and are not read", folder, lonely)
