"""JSON lists and JSON lines, record by record: only one record of a file is in memory."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from pydantic_core import from_json

from syntune.data.formats.records import MALFORMED, Fault, Row
from syntune.errors import UserError

_BLOCK = 2**20
"""Bytes of a list that are read at a time."""

_HEAD = 64
"""Bytes by which a file is told."""

_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\3\4")
"""How files of gzip, bzip2, xz, zstd and zip begin."""

_OBJECT_GOES_ON = re.compile(rb"\{(\s*|.*([\[{]|[^}],)\s*\n)", re.DOTALL)
"""A first line that ends within an object; one that ends in ``},`` is a record with a comma too many."""

_SPACE = re.compile(r"[ \t\r\n]*")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json_file(path: Path) -> Iterator[Row | Fault]:
    """The records of a file that holds a JSON list, or one record a line.

    Raises:
        UserError: a list is malformed, so that what follows cannot be told; a malformed line is a fault of its own. Or
            the file is UTF-16, as PowerShell writes it, or compressed.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        _refuse_foreign(path, head)
        file.seek(len(head) - len(_without_marks(head)))
        start = file.tell()
        first = _first_line(file)
        file.seek(start)
        if first.startswith(b"["):
            yield from _read_list(path, file)
        elif _OBJECT_GOES_ON.fullmatch(first):
            raise UserError(f"{path}: one JSON object over several lines; needed is a list of records, or one a line")
        else:
            yield from _read_lines(path, file)


def _first_line(file: BinaryIO) -> bytes:
    """The first line that is not blank, and its end; of a long one, such as a list in one line, the beginning."""
    while line := file.readline(_BLOCK):
        if line.strip():
            return line.lstrip()
    return b""


def _without_marks(data: bytes) -> bytes:
    """Without the byte order marks at the start: one was added at each saving."""
    while data.startswith(codecs.BOM_UTF8):
        data = data.removeprefix(codecs.BOM_UTF8)
    return data


def _refuse_foreign(path: Path, head: bytes) -> None:
    """Refuse a file that begins as no text does, so that not each of its lines is called malformed."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in head[:2]:
        raise UserError(f"{path}: is UTF-16 text; save it as UTF-8")
    if head.startswith(_PACKED):
        raise UserError(f"{path}: is compressed; unpack it")


def parse_json(data: bytes | str, where: str) -> Any:
    """JSON, of characters that can be written as UTF-8: half of a surrogate pair is refused.

    Raises:
        ValueError: the message names ``where`` and the column.
    """
    try:
        return from_json(data)
    except ValueError as error:
        raise ValueError(f"{where}: not valid JSON: {str(error).replace('line 1 column', 'column')}") from error


def _read_lines(path: Path, file: BinaryIO) -> Iterator[Row | Fault]:
    """The lines that are not blank; where files were joined, a byte order mark may begin any of them."""
    for number, line in enumerate(file, start=1):
        line = _without_marks(line).strip()
        if line:
            yield _row(path, f"{path}: line {number}", line)


def _row(path: Path, where: str, data: bytes | str) -> Row | Fault:
    """One record."""
    try:
        return Row(where, parse_json(data, where), path.parent)
    except ValueError as error:
        return Fault(where, None, MALFORMED, str(error).removeprefix(f"{where}: "))


def _read_list(path: Path, file: BinaryIO) -> Iterator[Row | Fault]:
    """The records of a list.

    The standard library's decoder says where a value ends, which a block may cut. It takes halves of surrogate pairs
    (ijson's would put a question mark for them), so a record that spells one is parsed again by :func:`parse_json`.
    """
    text = _Text(path, file)
    text.skip("[")
    number = 0
    while not text.at("]"):
        if number:
            text.skip(",")
        number += 1
        where = f"{path}: record {number}"
        value, spelled = text.value(where)
        yield _row(path, where, spelled) if _SURROGATE.search(spelled) else Row(where, value, path.parent)
    text.skip("]")
    if not text.ended():
        raise UserError(f"{path}: not valid JSON: more follows the end of the list")


class _Text:
    """A window on a file's text, from which values are taken one after another."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Nothing is read yet."""
        self._path, self._file = path, file
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._window, self._place = "", 0
        self._whole = False
        self._decoder = json.JSONDecoder()

    def at(self, character: str) -> bool:
        """Whether ``character`` comes next, after white space."""
        while True:
            self._place = _SPACE.match(self._window, self._place).end()
            if self._place < len(self._window):
                return self._window[self._place] == character
            if not self._more():
                return False

    def ended(self) -> bool:
        """Whether nothing but white space is left."""
        return not self.at("") and self._place == len(self._window)

    def skip(self, character: str) -> None:
        """Go past ``character``, which must come next."""
        if not self.at(character):
            found = repr(self._window[self._place : self._place + 20]) if not self.ended() else "the end of the file"
            raise UserError(f"{self._path}: not valid JSON: '{character}' should be where there is {found}")
        self._place += 1

    def value(self, where: str) -> tuple[Any, str]:
        """The next value, and how it is spelled."""
        self.at("")
        while True:
            try:
                value, end = self._decoder.raw_decode(self._window, self._place)
            except (ValueError, RecursionError) as error:
                if self._is_cut(error) and self._more():
                    continue
                raise self._malformed(where, error) from error
            if end == len(self._window) and self._more():
                continue  # a number could go on
            spelled, self._place = self._window[self._place : end], end
            return value, spelled

    def _is_cut(self, error: Exception) -> bool:
        """Whether an error may come of the window's end: it lies close to it, or a string has none."""
        if not isinstance(error, json.JSONDecodeError):
            return False
        return error.pos > len(self._window) - 16 or error.msg.startswith("Unterminated string")

    def _malformed(self, where: str, error: Exception) -> UserError:
        """The error in the words of the parser that is used everywhere else."""
        try:
            parse_json(self._window[self._place :], where)
        except ValueError as better:
            if "trailing characters" not in str(better):
                return UserError(str(better))
        return UserError(f"{where}: not valid JSON: {error}")

    def _more(self) -> bool:
        """Read a block more; false at the end of the file."""
        if self._whole:
            return False
        block = self._file.read(max(_BLOCK, len(self._window) - self._place))
        self._whole = not block
        try:
            added = self._utf8.decode(block, final=self._whole)
        except UnicodeDecodeError as error:
            raise UserError(f"{self._path}: not UTF-8 text ({error.reason})") from error
        self._window = self._window[self._place :] + added
        self._place = 0
        return not self._whole
