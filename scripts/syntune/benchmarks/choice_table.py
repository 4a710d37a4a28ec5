"""MMBench's table: tab-separated rows, each a question with options by letter and an image in base64.

Every cell is read as it is written, or the table is refused: ``None``, ``NA`` and ``null`` are words here.
"""

import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from syntune.artifacts.reading import read_lines
from syntune.benchmarks.base64_images import decode_image
from syntune.benchmarks.letters import LETTERS
from syntune.benchmarks.names import listed, repeated
from syntune.errors import UserError

COLUMNS = ("index", "question", *LETTERS, "image")
ROTATION = 1_000_000
"""A rotation's index is its base question's plus a multiple of this."""
LONGEST_REFERENCE = 20
"""A cell of digits alone, no longer than this, names the row that holds the image."""

_PANDAS_EMPTY = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "<NA>", "N/A", "n/a", "NA", "None", "NULL", "null", "NaN", "nan", "-NaN", "-nan"]
    + ["-1.#IND", "-1.#QNAN", "1.#IND", "1.#QNAN"]
)


def reads_as_nothing(cell: str) -> bool:
    """Whether the reference takes a cell for an empty one: by pandas' list of words, or by LLaVA's own two."""
    return cell in _PANDAS_EMPTY or cell.lower() in ("nan", "none")


class TableRow(NamedTuple):
    """A row: its index, its cells by column, and its options by letter, as they are written."""

    index: int
    cells: dict[str, str]
    options: dict[str, str]

    def get(self, column: str) -> str:
        """A cell that may hold nothing: then, or where there is no such column, the text is empty."""
        cell = self.cells.get(column, "")
        return "" if reads_as_nothing(cell.strip()) else cell


class ChoiceTable:
    """A table whose rows are sound.

    Attributes:
        columns: in their order.
        rows: in their order.
    """

    def __init__(self, path: str | Path) -> None:
        """Read and check a table.

        Raises:
            UserError: the table or a row is not as it must be; the first rows are named by their index.
        """
        self.path = path
        self.columns, records = _read(path)
        self._check_columns()
        self.letters = sorted(column for column in self.columns if column in _UPPER)
        self.rows = self._checked(records)

    def images(self) -> list[bytes]:
        """Each row's image; rows with the same cell, or that name another row, share one copy.

        Raises:
            UserError: a cell is neither an image in base64 nor the index of a row that holds one.
        """
        cells = {row.index: row.cells["image"].strip() for row in self.rows}
        decoded: dict[str, bytes] = {}
        images, broken = [], []
        for index, cell in cells.items():
            if _is_reference(cell):
                cell = cells.get(int(cell), "")
            try:
                if not cell or _is_reference(cell):
                    raise ValueError("names a row that names another" if cell else "empty")
                if cell not in decoded:
                    decoded[cell] = decode_image(cell)
                images.append(decoded[cell])
            except ValueError as error:
                broken.append(f"{index}: {error}")
        if broken:
            raise UserError(
                f"{self.path}: the image of {len(broken)} of {len(cells)} rows is not base64 (index {listed(broken)}); "
                "a cell must hold one image file in base64, or the index of the row that does"
            )
        return images

    def _check_columns(self) -> None:
        """Refuse a table in which a column is missing, doubled, or spelled so that it would not be read."""
        if doubled := repeated(self.columns):
            raise UserError(f"{self.path}: column {listed(doubled)} stands there twice; leave one out")
        for column in self.columns:
            read = _READ.get(column.strip().lower(), column)
            if column != read:
                raise UserError(f"{self.path}: column {column!r} would not be read; write it {read!r}")
        missing = [column for column in COLUMNS if column not in self.columns]
        if missing:
            raise UserError(f"{self.path}: columns are missing ({', '.join(missing)}); the table must be MMBench's TSV")

    def _checked(self, records: list[dict[str, str]]) -> list[TableRow]:
        """The rows, if all of them are sound; otherwise every fault is told at once."""
        rows = [TableRow(int(record["index"]), record, self._options(record)) for record in filter(_has_index, records)]
        indices = {row.index for row in rows}
        has_answers = any(row.get("answer") for row in rows)
        answers = [(row, row.cells["answer"].strip().upper()) for row in rows] if has_answers else []
        faults = {
            "have no whole number as index": [record["index"] for record in records if not _has_index(record)],
            "repeat an index": repeated(row.index for row in rows),
            "have no question": [row.index for row in rows if not row.cells["question"].strip()],
            f"have no answer of A to {self.letters[-1]}": [
                row.index for row, answer in answers if answer not in self.letters
            ],
            "have no options": [row.index for row in rows if not row.options],
            "have an answer that is none of their options": [
                row.index for row, answer in answers if answer in self.letters and answer not in row.options
            ],
            "have an option after an empty one": [row.index for row in rows if self._has_gap(row)],
            "are rotations of an absent base row": [row.index for row in rows if row.index % ROTATION not in indices],
        }
        told = [
            f"{len(bad)} of {len(records)} rows {fault} (index {listed(bad)})" for fault, bad in faults.items() if bad
        ]
        if told:
            raise UserError(f"{self.path}: {'; '.join(told)}; correct them")
        return rows

    def _options(self, record: dict[str, str]) -> dict[str, str]:
        """The options, up to the first cell that is empty."""
        options = {}
        for letter in _UPPER:
            if not record.get(letter, "").strip():
                break
            options[letter] = record[letter]
        return options

    def _has_gap(self, row: TableRow) -> bool:
        """Whether an option follows an empty cell."""
        return sum(bool(row.cells[letter].strip()) for letter in self.letters) > len(row.options)


_UPPER = [chr(code) for code in range(ord("A"), ord("Z") + 1)]
_READ = {name.lower(): name for name in (*COLUMNS, "hint", "answer", "category", "l2-category", *_UPPER)}
"""The columns that are read, by their names in lower case."""


def _read(path: str | Path) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and the records of a table, which may quote its cells, as CSV does, or not.

    In a table without quotation, a cell that begins with a mark would swallow the rows up to the next such mark. So if
    anything speaks against quotation, every line must be a whole record; otherwise the table is refused.
    """
    try:
        records = _quoted(read_lines(path, newline=""))
    except ValueError as fault:
        records = [line.rstrip("\r\n").split("\t") for line in read_lines(path, newline="") if line.strip()]
        if against := _against_lines(records):
            raise UserError(
                f"{path}: {fault}; without quotation, {against}: quote cells that hold tabs, line ends or quotation "
                "marks, as CSV does"
            ) from fault
    if len(records) < 2:
        raise UserError(f"{path}: has no rows; the table must be MMBench's TSV")
    columns, *rows = records
    return columns, [dict(zip(columns, row, strict=True)) for row in rows]


def _quoted(lines: Iterator[str]) -> list[list[str]]:
    """The records of a table that quotes its cells; what speaks against that is a :class:`ValueError`."""
    csv.field_size_limit(sys.maxsize)
    records = []
    try:
        for number, record in enumerate(csv.reader(lines, delimiter="\t", strict=True), 1):
            if not record:
                continue
            records.append(record)
            if len(record) != len(records[0]):
                raise ValueError(f"row {number} has {len(record)} cells, the first row {len(records[0])}")
            tabs = sum(cell.count("\t") for cell in record)
            if tabs and tabs % (len(record) - 1) == 0 and any("\n" in cell for cell in record):
                raise ValueError(f"a quotation mark in row {number} swallows the rows after it")
    except csv.Error as error:
        raise ValueError(f"row {len(records) + 1}: {error}") from error
    return records


def _against_lines(records: list[list[str]]) -> str:
    """What speaks against reading each line as a record whose cells are not quoted; empty if nothing does."""
    for number, record in enumerate(records, 1):
        if len(record) != len(records[0]):
            return f"line {number} has {len(record)} cells, the first line {len(records[0])}"
        if any(re.fullmatch(r'".*"".*"', cell) for cell in record):
            return f"line {number} has a cell that is quoted"
    return ""


def _has_index(record: dict[str, str]) -> bool:
    """Whether a record has a whole number as index."""
    return re.fullmatch(r"\s*[0-9]{1,18}\s*", record["index"]) is not None


def _is_reference(cell: str) -> bool:
    """Whether a cell of the column ``image`` names another row."""
    return cell.isascii() and cell.isdigit() and len(cell) <= LONGEST_REFERENCE
