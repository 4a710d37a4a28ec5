"""Seed files of three formats, read record by record.

Each format has a shape, checked by pydantic: a wrong or missing key is named with its file and line, record or row, and
keys that a shape does not have are counted.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator
from pydantic_core import from_json

from syntune.artifacts.shards import IMAGE_MARK
from syntune.data.conversations import JUICER_IMAGE_MARK, ROLES, Message, to_text
from syntune.errors import UserError
from syntune.settings.reading import read_settings
from syntune.settings.seeds import SeedSettings


class Record(NamedTuple):
    """One image-text record as it stands in a seed file."""

    where: str
    """The file and the line, record or row, for messages."""
    id: str | None
    images: list[Path] | list[bytes]
    text: str
    """Data-Juicer text with one mark for each image."""
    unused: tuple[str, ...] = ()
    """Keys that are not read."""


class _Shape(BaseModel):
    """What a record of any format may hold: an id, and keys that are not read."""

    model_config = ConfigDict(strict=True, extra="allow")

    id: str | None = None

    @field_validator("id", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> str | None:
        """Ids are text, or whole numbers that become text."""
        if value == "" or isinstance(value, bool) or not isinstance(value, int | str | None):
            raise ValueError(f"must be text or a whole number, not {value!r}")
        return None if value is None else str(value)


def _as_list(value: Any) -> Any:
    """One image or none, as the list that several are."""
    return value if isinstance(value, list) else [] if value in (None, "") else [value]


def _stored_bytes(image: Any) -> Any:
    """The bytes of an image that Hugging Face datasets stored as a struct of bytes and path."""
    return image.get("bytes") if isinstance(image, dict) else image


class JuicerRow(_Shape):
    """A line of Data-Juicer's multimodal JSON lines."""

    images: list[str]
    text: str


class LlavaTurn(BaseModel):
    """A turn of a LLaVA conversation."""

    model_config = ConfigDict(strict=True)

    speaker: Literal["human", "gpt"] = Field(alias="from")
    value: str


class LlavaRecord(_Shape):
    """A record of LLaVA's JSON list: one image or several, or none for text alone."""

    image: Annotated[list[str], BeforeValidator(_as_list)] = []
    conversations: list[LlavaTurn]


class ChatMessage(BaseModel):
    """A message of a row of Parquet."""

    model_config = ConfigDict(strict=True)

    role: Literal["user", "assistant"]
    content: str


class _ParquetRow(_Shape):
    """A row of Parquet with the images inside."""

    images: Annotated[list[Annotated[bytes, BeforeValidator(_stored_bytes)]], BeforeValidator(_as_list)] = Field(
        validation_alias=AliasChoices("images", "image")
    )


class ParquetText(_ParquetRow):
    """A row of images and text."""

    text: str


class ParquetMessages(_ParquetRow):
    """A row of images and a conversation."""

    messages: list[ChatMessage]


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
    """The lines of a file that are not blank."""
    with open(settings.path, "rb") as file:
        for number, line in enumerate(file, start=1):
            where = f"{settings.path}: line {number}"
            if line.strip():
                row = read_settings(_parse(line.strip(), where), JuicerRow, where)
                images = _image_paths(settings, row.images, f"{where}: images")
                yield _record(where, row, images, "text", row.text)


def _read_llava(settings: SeedSettings) -> Iterator[Record]:
    """The records of a list."""
    rows = read_settings(_parse(Path(settings.path).read_bytes(), settings.path), list, settings.path)
    for number, value in enumerate(rows, start=1):
        where = f"{settings.path}: record {number}"
        row = read_settings(value, LlavaRecord, where)
        images = _image_paths(settings, row.image, f"{where}: image")
        messages = [{"role": ROLES[turn.speaker], "content": turn.value} for turn in row.conversations]
        yield _record(where, row, images, "conversations", messages)


def _read_parquet(settings: SeedSettings) -> Iterator[Record]:
    """The rows of a file: messages where a row has them, else text."""
    for number, value in enumerate(_parquet_rows(settings.path), start=1):
        where = f"{settings.path}: row {number}"
        if value.get("messages") is not None:
            chat = read_settings(value, ParquetMessages, where)
            messages = [message.model_dump() for message in chat.messages]
            yield _record(where, chat, chat.images, "messages", messages)
        else:
            row = read_settings(value, ParquetText, where)
            yield _record(where, row, row.images, "text", row.text)


def _parquet_rows(path: str) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, which needs a column of images and one of text."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            for choice in (("images", "image"), ("text", "messages")):
                if not set(choice) & set(names):
                    raise UserError(f"{path}: no column {' or '.join(choice)}; there are {', '.join(names)}")
            for batch in file.iter_batches(batch_size=256):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a readable Parquet file ({error})") from error


def _parse(data: bytes, where: str) -> Any:
    """JSON, of characters that can be written as UTF-8: the parser refuses half of a surrogate pair."""
    try:
        return from_json(data)
    except ValueError as error:
        raise UserError(f"{where}: not valid JSON: {str(error).replace('line 1 column', 'column')}") from error


def _image_paths(settings: SeedSettings, paths: Iterable[str], where: str) -> list[Path]:
    """The images' paths, relative to the working folder where they lie in it.

    They start from ``images`` or, without it, from the folder of the records, and must lie inside.
    """
    root = Path(settings.images) if settings.images else Path(settings.path).parent
    top, here = os.path.abspath(root), Path.cwd()
    absolute = [Path(os.path.abspath(root / path)) for path in paths]
    for path, value in zip(absolute, paths, strict=True):
        if not path.is_relative_to(top):
            raise UserError(f"{where}: {value} lies outside the images' folder {root}")
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in absolute]


def _record(where: str, row: _Shape, images: list[Path] | list[bytes], key: str, text: str | list[Message]) -> Record:
    """A row as a record; ``text``, which stands in ``key``, gets its marks in front where it has none."""
    try:
        text = (text if isinstance(text, str) else to_text(text)).replace(IMAGE_MARK, JUICER_IMAGE_MARK)
    except ValueError as error:
        raise UserError(f"{where}: {key}: {error}") from error
    marks = text.count(JUICER_IMAGE_MARK)
    if not marks:
        text = f"{JUICER_IMAGE_MARK}\n" * len(images) + text
    elif marks != len(images):
        raise UserError(f"{where}: {key} marks {marks} images, the record has {len(images)}")
    return Record(where, row.id, images, text, tuple(row.model_extra or ()))
