"""Questions of one's own: a file of rows, JSON lines or Parquet, each checked as it is read."""

import math
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, field_validator, model_validator

from syntune.artifacts.beside import manifest_of
from syntune.artifacts.manifests import part_files
from syntune.artifacts.questions import QuestionId
from syntune.artifacts.reading import read_json_lines, read_lines
from syntune.benchmarks.base64_images import decode_image, is_image
from syntune.errors import UserError, one_line
from syntune.settings.holdout_names import QUESTIONS
from syntune.settings.reading import read_settings

BATCH = 256
"""Rows of a Parquet file that are read at a time."""

LISTED = 5
"""Faults that are listed one by one; beyond, they are counted."""

YES_NO = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def _spelled(value: Any) -> Any:
    """A number as its digits: 5 for a 5.0, which is what a table has of the 5 in a column with fractions or gaps."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no text")
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1), BeforeValidator(_spelled)]
"""A text that says something, without outer white space; a number stands for its digits."""


class _Strict(BaseModel):
    """What is read of a file: an unknown key is refused, a number may stand for a text."""

    model_config = ConfigDict(extra="forbid", coerce_numbers_to_str=True)


class QuestionRow(_Strict):
    """What every row has.

    Attributes:
        id: unique in the file.
        image: a path, or the image's bytes.
        category: the part of the benchmark that it belongs to.
    """

    id: QuestionId
    image: str | bytes
    category: Text | None = None

    @field_validator("image", mode="before")
    @classmethod
    def _is_there(cls, value: Any) -> str | bytes:
        """A path, bytes or base64; the datasets library writes a struct of both, of which one may be empty."""
        found = value.get("bytes") or value.get("path") if isinstance(value, dict) else value
        if not isinstance(found, str | bytes) or not found.strip():
            raise ValueError("must be a path, an image's bytes, or a struct of bytes and path")
        if isinstance(found, bytes) or not is_image(found):
            return found
        try:
            return decode_image(found)
        except ValueError as error:
            raise ValueError(f"broken base64 ({error})") from error

    def source(self, folder: Path) -> Path | bytes:
        """The image: its bytes, or its path in ``folder``."""
        return self.image if isinstance(self.image, bytes) else folder / self.image


class AnsweredRow(QuestionRow):
    """A question with one right answer, or several of which each is right."""

    question: Text
    answer: Text | None = None
    answers: Annotated[list[Text], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _is_answered(self) -> "AnsweredRow":
        """There is an answer, under one of the two keys."""
        if self.answer is None and self.answers is None:
            raise ValueError("has neither answer (one) nor answers (a list)")
        if self.answer is not None and self.answers is not None:
            raise ValueError("has both answer and answers; leave one out")
        return self

    @property
    def references(self) -> tuple[str, ...]:
        """The right answers."""
        return tuple(self.answers or [self.answer])


class CaptionRow(AnsweredRow):
    """An image with one caption, or several of which each is right; ``question`` is a prompt of its own."""

    question: Text | None = None


class YesNoRow(QuestionRow):
    """A question to be answered with yes or no; ``answer`` may be true or false, too."""

    question: Text
    answer: Annotated[
        Literal["yes", "no"], BeforeValidator(lambda value: YES_NO.get(str(value).strip().lower(), value))
    ]


class ChoiceRow(QuestionRow):
    """A question with options; ``answer`` is the letter or the text of the right one."""

    question: Text
    options: Annotated[list[Text], Field(min_length=2, max_length=len(ascii_uppercase))]
    answer: Text

    @model_validator(mode="after")
    def _is_one_of_its_options(self) -> "ChoiceRow":
        """The options are distinct, without letters of their own, and the answer is one of them."""
        pairs = zip(ascii_uppercase, self.options, strict=False)
        if all(re.match(rf"\(?{letter}[.):]\s", option) for letter, option in pairs):
            raise ValueError("options: each begins with its letter; leave the letters out, for the prompt has them")
        if len(set(self.options)) < len(self.options):
            raise ValueError("options: one stands there twice")
        if len(self._named()) != 1:
            raise ValueError(f"answer: '{self.answer}' must be the letter or the text of one option")
        return self

    @property
    def right(self) -> int:
        """The place of the right option."""
        return self._named().pop()

    def _named(self) -> set[int]:
        """The places of the options that the answer may name, by letter or by text."""
        pairs = zip(ascii_uppercase, self.options, strict=False)
        return {place for place, names in enumerate(pairs) if self.answer.strip() in (names[0], names[1].strip())}


ROWS: dict[str, type[QuestionRow]] = {
    "vqa": AnsweredRow,
    "choice": ChoiceRow,
    "yes_no": YesNoRow,
    "caption": CaptionRow,
}
"""What a row of each protocol's file holds."""

Row = TypeVar("Row", bound=QuestionRow)


def read_question_file(path: str, kind: type[Row], limit: int | None = None) -> Iterator[Row]:
    """Yield each row, of the first ``limit`` or of all. A null counts as absent, and so does NaN.

    Raises:
        UserError: the file cannot be read or, of held-out questions, is not what was written; or rows are not a
            ``kind``, or their id is another row's: once all are read, the message names file, rows and keys.
    """
    _check_held_out(Path(path))
    rows = _parquet_rows(path) if path.endswith(".parquet") else _json_rows(path)
    seen: dict[str, str] = {}
    faults: list[str] = []
    for where, value in islice(rows, limit):
        if isinstance(value, dict):
            value = {key: each for key, each in value.items() if each is not None and each == each}
        try:
            row = read_settings(value, kind, where)
        except UserError as error:
            faults.append(str(error).removeprefix(f"{path}: "))
            continue
        first = seen.setdefault(str(row.id), where)
        if first != where:
            row_is, other = (place.removeprefix(f"{path}: ") for place in (where, first))
            faults.append(f"{row_is}: id: '{row.id}' is the id of {other} too; each row needs its own")
        elif not faults:
            yield row
    if faults:
        more = f"; and {len(faults) - LISTED} more such rows" if len(faults) > LISTED else ""
        raise UserError(f"{path}: {'; '.join(faults[:LISTED])}{more}")


def _check_held_out(file: Path) -> None:
    """Check a file of held-out questions against the manifest of the job that wrote it."""
    manifest = manifest_of(file.parent)
    if file.name == QUESTIONS and file.parent.suffix == ".holdout" and manifest.is_file():
        part_files(manifest, f"{file.parent.name}/{file.name}")


def _json_rows(path: str) -> Iterator[tuple[str, Any]]:
    """The rows of JSON lines."""
    if next(read_lines(path), "").lstrip().startswith("["):
        raise UserError(f"{path}: a JSON list; write one row a line (JSON lines), or Parquet")
    yield from read_json_lines(path, Any)


def _parquet_rows(path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of a Parquet file, numbered from 1."""
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches(BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", value
    # ValueError: a text that is not UTF-8; OverflowError: a date beyond all calendars
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise UserError(f"{path}: cannot be read as Parquet ({one_line(error)})") from error
