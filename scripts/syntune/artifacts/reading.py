"""Reading JSON and JSON lines, checked against a schema: one clear line for what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic_core import from_json

from syntune.errors import UserError
from syntune.settings.reading import read_settings

T = TypeVar("T")


def read_text(path: str | Path, advice: str = "") -> str:
    """The text of a file.

    Args:
        path: the file.
        advice: what an error ends with: what to do.

    Raises:
        UserError: the file is missing or not UTF-8.
    """
    return "".join(read_lines(path, advice))


def read_lines(path: str | Path, advice: str = "", newline: str | None = None) -> Iterator[str]:
    """Yield the lines of a text file, line ends included, as ``\\n`` or, with ``newline=""``, as they are written.

    The other arguments and errors are those of :func:`read_text`.
    """
    try:
        # some editors begin a file with a byte order mark
        with open(path, encoding="utf-8-sig", newline=newline) as file:
            yield from file
    except OSError as error:
        raise _refusal(f"{path}: cannot be read ({error.strerror})", advice) from error
    except UnicodeDecodeError as error:
        raise _refusal(f"{path}: not UTF-8 text ({error})", advice) from error


def read_json_file(path: str | Path, kind: type[T], advice: str = "") -> T:
    """The content of a JSON file as ``kind``: a pydantic class, a ``list`` of one, or ``Any``.

    NaN and infinities are read as they are: a failing training leaves them.

    Raises:
        UserError: the file is missing, not JSON or not a ``kind``; the message names the first wrong key.
    """
    return _parse(read_text(path, advice), kind, str(path), advice)


def read_json_lines(path: str | Path, kind: type[T], advice: str = "") -> Iterator[tuple[str, T]]:
    """Yield ``FILE: line N`` and the value of each line that is not blank, as ``kind``.

    Raises:
        UserError: as :func:`read_json_file`; the message also names the line.
    """
    for number, line in enumerate(read_lines(path, advice), start=1):
        if line.strip():
            where = f"{path}: line {number}"
            yield where, _parse(line, kind, where, advice)


def _parse(text: str, kind: type[T], where: str, advice: str) -> T:
    """One JSON value; half of a surrogate pair, deep nesting and numbers of thousands of digits are refused."""
    try:
        value = from_json(text)
    except ValueError as error:
        fault = str(error).replace("line 1 column", "column")
        raise _refusal(f"{where}: not JSON that can be read ({fault})", advice) from error
    try:
        return read_settings(value, kind, where)
    except UserError as error:
        raise _refusal(str(error), advice) from error


def _refusal(fault: str, advice: str) -> UserError:
    """The error that tells a fault and what to do about it."""
    return UserError(f"{fault}; {advice}" if advice else fault)
