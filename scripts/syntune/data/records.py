"""Seed files of three formats, read record by record."""

import json
import os
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from syntune.data.conversations import IMAGE, PLACEHOLDER, ROLES, to_text
from syntune.errors import UserError
from syntune.settings.seeds import SeedSettings

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half of a character, as an escape in JSON can stand for; no file can hold it."""


class Record(NamedTuple):
    """One image-text record as it stands in a seed file."""

    where: str
    """The file and the line or row, for messages."""
    id: str | None
    images: list[Path | bytes]
    text: str
    """Data-Juicer text with one mark for each image."""
    unused: tuple[str, ...] = ()
    """Keys that are not read."""


def read_records(settings: SeedSettings) -> Iterator[Record]:
    """The records of a seed, from the top, up to its limit.

    Raises:
        UserError: the file is malformed, or a record lacks a key or holds a wrong value; the message names it.
    """
    readers: dict[str, Callable[[SeedSettings], Iterator[Record]]] = {
        "jsonl": _read_jsonl,
        "llava": _read_llava,
        "parquet": _read_parquet,
    }
    if not Path(settings.path).is_file():
        raise UserError(f"{settings.path}: there is no such file")
    return islice(readers[settings.format](settings), settings.limit)


def _read_jsonl(settings: SeedSettings) -> Iterator[Record]:
    """Data-Juicer's multimodal JSON lines: id, images, text."""
    root = _image_root(settings)
    with open(settings.path, "rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{settings.path}: line {number}"
            if line.strip():
                yield _jsonl_record(_parse(line.strip(), where), root, where)


def _jsonl_record(row: Any, root: Path, where: str) -> Record:
    """A record of one line."""
    row = _encodable(_typed(row, dict, where, "the line"), where)
    paths = _typed(_get(row, "images", where), list, where, "images")
    text = _typed(_get(row, "text", where), str, where, "text")
    images = [_image_path(path, root, where, f"images[{index}]") for index, path in enumerate(paths)]
    return Record(where, _id(row, where), images, _marked(text, len(images), where), _unused(row, "images", "text"))


def _read_llava(settings: SeedSettings) -> Iterator[Record]:
    """LLaVA's JSON list: id, image (one path or several; none for text alone), conversations."""
    root = _image_root(settings)
    rows = _parse(Path(settings.path).read_bytes(), settings.path)
    for number, row in enumerate(_typed(rows, list, settings.path, "the file"), start=1):
        yield _llava_record(row, root, f"{settings.path}: record {number}")


def _llava_record(row: Any, root: Path, where: str) -> Record:
    """A record of the list."""
    row = _encodable(_typed(row, dict, where, "the record"), where)
    image = row.get("image") or []
    paths = image if isinstance(image, list) else [image]
    images = [_image_path(path, root, where, "image") for path in paths]
    turns = _typed(_get(row, "conversations", where), list, where, "conversations")
    messages = []
    for index, turn in enumerate(turns):
        key = f"conversations[{index}]"
        turn = _typed(turn, dict, where, key)
        speaker = _get(turn, "from", where, key)
        if speaker not in ROLES:
            raise UserError(f"{where}: {key}.from: {speaker!r} is not one of {', '.join(ROLES)}")
        messages.append(
            {"role": ROLES[speaker], "content": _typed(_get(turn, "value", where, key), str, where, f"{key}.value")}
        )
    text = _text(messages, where, "conversations")
    return Record(
        where, _id(row, where), images, _marked(text, len(images), where), _unused(row, "image", "conversations")
    )


def _read_parquet(settings: SeedSettings) -> Iterator[Record]:
    """Parquet with the images inside: id, images or image (structs of bytes and path), text or messages."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(settings.path) as file:
            _check_columns(settings.path, file.schema_arrow.names)
            number = 0
            for batch in file.iter_batches(batch_size=256):
                for row in batch.to_pylist():
                    number += 1
                    yield _parquet_record(row, f"{settings.path}: row {number}")
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{settings.path}: not a readable Parquet file ({error})") from error


def _check_columns(path: str, names: list[str]) -> None:
    """A Parquet seed needs a column of images and one of text."""
    for choice in (("images", "image"), ("text", "messages")):
        if not set(choice) & set(names):
            raise UserError(f"{path}: no column {' or '.join(choice)}; there are {', '.join(names)}")


def _parquet_record(row: dict[str, Any], where: str) -> Record:
    """A record of one row."""
    key = "images" if "images" in row else "image"
    value = row[key] if row[key] is not None else []
    images: list[Path | bytes] = []
    for image in value if isinstance(value, list) else [value]:
        data = image.get("bytes") if isinstance(image, dict) else image
        images.append(_typed(data, bytes, where, f"{key}: bytes"))
    if row.get("messages") is not None:
        messages = _checked_messages(row["messages"], where)
        text, text_key = _text(messages, where, "messages"), "messages"
    else:
        text, text_key = _typed(_get(row, "text", where), str, where, "text"), "text"
    return Record(where, _id(row, where), images, _marked(text, len(images), where), _unused(row, key, text_key))


def _checked_messages(messages: Any, where: str) -> list[dict[str, str]]:
    """Messages of known roles with text."""
    for index, message in enumerate(_typed(messages, list, where, "messages")):
        key = f"messages[{index}]"
        _typed(message, dict, where, key)
        role = _get(message, "role", where, key)
        if role not in ROLES.values():
            raise UserError(f"{where}: {key}.role: {role!r} is not one of {', '.join(ROLES.values())}")
        _typed(_get(message, "content", where, key), str, where, f"{key}.content")
    return messages


def _parse(data: bytes, where: str) -> Any:
    """JSON of UTF-8 bytes."""
    try:
        return json.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise UserError(f"{where}: not UTF-8 text (byte {error.start})") from error
    except json.JSONDecodeError as error:
        place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} column {error.colno}"
        raise UserError(f"{where}: not valid JSON at {place}: {error.msg}") from error
    except RecursionError as error:
        raise UserError(f"{where}: lists or objects are nested too deeply to be read") from error
    except ValueError as error:  # of Python's integers, which are read up to a number of digits
        raise UserError(f"{where}: a number has too many digits to be read") from error


def _encodable(row: dict[str, Any], where: str) -> dict[str, Any]:
    """``row``, whose texts must be such that they can be written as UTF-8."""
    for key, value in row.items():
        for text in _texts([key, value]):
            if half := _SURROGATE.search(text):
                raise UserError(
                    f"{where}: {key!r} holds {half[0]!r}, half of a surrogate pair; write the whole character"
                )
    return row


def _texts(value: Any) -> Iterator[str]:
    """Every string in a value of JSON, keys too."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            waiting.extend(one)
        elif isinstance(one, dict):
            waiting.extend([*one, *one.values()])


def _get(row: dict[str, Any], key: str, where: str, inside: str = "") -> Any:
    """The value of a key that must be there."""
    if key not in row:
        name = f"{inside}.{key}" if inside else key
        raise UserError(f"{where}: key {name} is missing; there are {', '.join(map(str, row)) or 'none'}")
    return row[key]


def _typed(value: Any, kind: type, where: str, key: str) -> Any:
    """``value``, which must be of ``kind``."""
    names = {dict: "an object", list: "a list", str: "a string", bytes: "the image's bytes"}
    if not isinstance(value, kind):
        found = "null" if value is None else type(value).__name__
        raise UserError(f"{where}: {key} must be {names[kind]}, not {found}")
    return value


def _id(row: dict[str, Any], where: str) -> str | None:
    """The record's own id, as text; None where there is none."""
    value = row.get("id")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise UserError(f"{where}: id must be text or a whole number, not {value!r}")
    return str(value)


def _unused(row: dict[str, Any], *used: str) -> tuple[str, ...]:
    """The keys of ``row`` that are not read."""
    return tuple(key for key in row if key not in (*used, "id"))


def _image_root(settings: SeedSettings) -> Path:
    """The folder that image paths start from: ``images``, or the folder of the records."""
    return Path(settings.images) if settings.images else Path(settings.path).parent


def _image_path(value: Any, root: Path, where: str, key: str) -> Path:
    """The image's path, relative to the working folder where it lies in it; it must lie inside ``root``."""
    path = Path(os.path.abspath(root / _typed(value, str, where, key)))
    if not path.is_relative_to(os.path.abspath(root)):
        raise UserError(f"{where}: {key}: {value} lies outside the images' folder {root}")
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _text(messages: list[dict[str, str]], where: str, key: str) -> str:
    """Messages as Data-Juicer text."""
    try:
        return to_text(messages)
    except ValueError as error:
        raise UserError(f"{where}: {key}: {error}") from error


def _marked(text: str, images: int, where: str) -> str:
    """``text`` with one mark for each image; a text without any gets them in front."""
    text = text.replace(PLACEHOLDER, IMAGE)
    marks = text.count(IMAGE)
    if not marks and images:
        return f"{IMAGE}\n" * images + text
    if marks != images:
        raise UserError(f"{where}: the text marks {marks} images, the record has {images}")
    return text
