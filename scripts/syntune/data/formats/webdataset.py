"""WebDataset's tar files: members of one name, save for the ending, are one sample."""

import re
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from syntune.data.formats.json_files import parse_json
from syntune.data.formats.pictures import KEYS, file_name
from syntune.data.formats.records import BAD_IMAGE, MALFORMED, WRONG_VALUE, Fault, Row, legible
from syntune.errors import UserError, one_line
from syntune.settings.seed_files import is_image

_TEXTS = ("txt", "text", "caption")

_APART = {}, (WRONG_VALUE, "its members stand apart, with others between them; write each sample's members together")

_MOST_BYTES = 2**30
"""Of a member that is read into memory."""


def read_webdataset(path: Path) -> Iterator[Row | Fault]:
    """The samples of a tar file, read from front to end.

    ``KEY.jpg`` (or any image, ``KEY.0.jpg`` for several) is an image, ``KEY.txt`` or ``KEY.caption`` its text and
    ``KEY.json`` a record, whose text or conversation goes first. KEY is the id, if the record has none. Several images
    are in the order in which the record names them or, if it names none, in that of their numbers.

    Raises:
        UserError: it is not a readable tar file.
    """
    try:
        with tarfile.open(path, "r|*") as tar:
            seen: set[str] = set()
            files = (member for member in tar if not (member.isdir() or _is_hidden(member.name)))
            for key, members in groupby(files, key=lambda member: _split(member.name)[0]):
                where = f"{path}: sample {legible(key)}"
                fields, fault = _APART if key in seen else _fields(tar, members)
                seen.add(key)
                yield Fault(where, legible(key), *fault) if fault else Row(where, {"id": key, **fields}, path.parent)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise UserError(f"{path}: not a readable tar file ({one_line(error)})") from error


def _is_hidden(name: str) -> bool:
    """Whether a member is none of a sample's, such as ``._1.jpg``, which tar adds on macOS."""
    return name.rpartition("/")[2].startswith(".")


def _split(name: str) -> tuple[str, str]:
    """A member's key, with its folders, and its ending: all behind the first dot."""
    folder, slash, file = name.removeprefix("./").rpartition("/")
    stem, _, ending = file.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def _fields(tar: tarfile.TarFile, members: Iterator[tarfile.TarInfo]) -> tuple[dict[str, Any], tuple[str, str] | None]:
    """A sample as a row, or the reason and message of what is wrong with it."""
    images: dict[str, bytes] = {}
    record: dict[str, Any] = {}
    texts: dict[str, str] = {}
    others: dict[str, None] = {}
    named: dict[str, bytes] = {}
    seen: set[str] = set()
    for member in members:
        ending = _split(member.name)[1]
        if legible(member.name) != member.name:
            return {}, (WRONG_VALUE, f"{legible(member.name)}: its name is not UTF-8; rename it")
        if ending in seen:
            return {}, (WRONG_VALUE, f"{member.name} stands there twice")
        seen.add(ending)
        if not member.isreg():
            return {}, (WRONG_VALUE, f"{member.name} is not a regular file")
        if not (is_image(f".{ending}") or ending == "json" or ending in _TEXTS):
            others[ending] = None
            continue
        if member.size > _MOST_BYTES:
            return {}, (BAD_IMAGE, f"{member.name} is larger than {_MOST_BYTES} bytes")
        content = tar.extractfile(member).read()
        if is_image(f".{ending}"):
            images[ending] = named[file_name(member.name)] = content
            continue
        try:
            if ending == "json":
                record = parse_json(content.removeprefix(b"\xef\xbb\xbf"), member.name)
            else:
                texts[ending] = content.decode("utf-8-sig").strip()
        except UnicodeDecodeError as error:
            return {}, (WRONG_VALUE, f"{member.name} is not UTF-8 text ({error.reason})")
        except ValueError as error:
            return {}, (MALFORMED, str(error))
    if not isinstance(record, dict):
        return {}, (WRONG_VALUE, "its JSON must hold one record")
    text = next((texts[ending] for ending in _TEXTS if ending in texts), None)
    own = {key: _members(record[key], named) for key in KEYS if key in record}
    fields = {**others, **record, **own}
    if text is not None:
        fields.setdefault("text", text)
    if images and own == {key: record[key] for key in own}:
        fields["images"] = [images[ending] for ending in sorted(images, key=_by_number)]
    return fields, None


def _members(value: Any, named: dict[str, bytes]) -> Any:
    """What a record says its images are, with the members that it names in the place of their names."""
    if isinstance(value, list):
        return [_members(each, named) for each in value]
    return named.get(file_name(value), value) if isinstance(value, str) else value


def _by_number(ending: str) -> list[str | int]:
    """To sort ``2.png`` before ``10.png``."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", ending)]
